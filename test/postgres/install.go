package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"syscall"
)

// programs gives the folder of the newest installed server programs.
func programs(ctx context.Context) (string, error) {
	if dir := newest(); dir != "" {
		return dir, nil
	}

	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}

	fmt.Fprintln(os.Stderr, "PostgreSQL is not installed; installing the package postgresql")

	for _, args := range [][]string{{"apt-get", "update"}, {"apt-get", "install", "-y", "--no-install-recommends", "postgresql"}} {
		install := exec.CommandContext(ctx, args[0], args[1:]...)
		install.Stdout, install.Stderr = os.Stderr, os.Stderr
		install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")

		if err := install.Run(); err != nil {
			return "", fmt.Errorf("%v: %w (install PostgreSQL 14 or newer)", args, err)
		}
	}

	if dir := newest(); dir != "" {
		return dir, nil
	}

	return "", errors.New("no PostgreSQL server found; install PostgreSQL 14 or newer")
}

func newest() string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return ""
	}

	sort.Slice(found, func(i, j int) bool { return major(found[i]) < major(found[j]) })

	return filepath.Dir(found[len(found)-1])
}

// major is the version in the path; a folder that is no version comes first.
func major(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}

	return n
}

// unprivileged gives the attributes with which Postgres is started: it refuses
// to run as root, so root hands it to the user postgres.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	// Its own process group: the terminal's Ctrl-C is for the command.
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attr, nil
	}

	owner, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}

	uid, err := strconv.ParseUint(owner.Uid, 10, 32)
	if err != nil {
		return nil, err
	}

	gid, err := strconv.ParseUint(owner.Gid, 10, 32)
	if err != nil {
		return nil, err
	}

	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return nil, err
	}

	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}

	return attr, nil
}
