package cluster

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shiplog/shiplog/test/cluster/image"
)

const module = "github.com/shiplog/shiplog"

// tellEvery is how often a long build says how far it is.
const tellEvery = 15 * time.Second

// program is something that is built from this repository.
type program struct {
	name string
	// module is the folder, in the repository, of the module that it is built
	// in, and pkg its package in that.
	module, pkg string
	// sources are the folders, in the repository, that it is made of.
	sources []string
	ldflags string
	// large: its compilation takes minutes.
	large bool
}

func programs(kubernetes string) []program {
	const of = "k8s.io/component-base/version"

	_, minor, _ := strings.Cut(kubernetes, ".")
	minor, _, _ = strings.Cut(minor, ".")
	own := []string{"test/cluster"}

	return []program{
		{
			name: "hyper", module: "test/kubernetes", pkg: "./hyper", sources: []string{"test/kubernetes"}, large: true,
			ldflags: "-s -w -X " + of + ".gitVersion=" + kubernetes + " -X " + of + ".gitMajor=1 -X " + of + ".gitMinor=" + minor +
				" -X " + of + ".gitTreeState=clean -X " + of + ".buildDate=1970-01-01T00:00:00Z",
		},
		{name: "registry", module: "test/kubernetes", pkg: "./registry", sources: []string{"test/kubernetes"}, ldflags: "-s -w"},
		{name: "noded", pkg: "./test/cluster/noded", sources: own},
		{name: "app", pkg: "./test/cluster/app", sources: []string{"test/cluster/app"}, ldflags: "-s -w"},
		{name: "pause", pkg: "./test/cluster/pause", sources: []string{"test/cluster/pause"}, ldflags: "-s -w"},
	}
}

// build makes the programs that are not there as the repository has them now,
// and the image that every pod needs.
func (c Config) build(ctx context.Context) error {
	root, err := repository(ctx)
	if err != nil {
		return err
	}

	if err := os.MkdirAll(c.Built, 0o755); err != nil {
		return err
	}

	version, err := kubernetes(root)
	if err != nil {
		return err
	}

	for _, p := range programs(version) {
		if err := c.buildOne(ctx, root, p); err != nil {
			return err
		}
	}

	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"} {
		if err := os.Symlink("hyper", filepath.Join(c.Built, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}

	return c.pause()
}

// buildApp makes the program of test workloads alone.
func (c Config) buildApp(ctx context.Context) error {
	root, err := repository(ctx)
	if err != nil {
		return err
	}

	if err := os.MkdirAll(c.Built, 0o755); err != nil {
		return err
	}

	for _, p := range programs("") {
		if p.name == "app" {
			return c.buildOne(ctx, root, p)
		}
	}

	return errors.New("the program of test workloads is not among the programs")
}

// repository is the folder of this module.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find the repository of %s (run in it): %w", module, err)
	}

	return strings.TrimSpace(string(out)), nil
}

// kubernetes is the version that test/kubernetes builds: what its go.mod says.
func kubernetes(root string) (string, error) {
	mod, err := os.ReadFile(filepath.Join(root, "test", "kubernetes", "go.mod"))
	if err != nil {
		return "", err
	}

	for line := range strings.Lines(string(mod)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "k8s.io/kubernetes" {
			return fields[1], nil
		}
	}

	return "", errors.New("test/kubernetes/go.mod requires no k8s.io/kubernetes")
}

// buildOne builds a program unless what it is made of is what it was made of.
func (c Config) buildOne(ctx context.Context, root string, p program) error {
	stamp, err := p.stamp(root)
	if err != nil {
		return err
	}

	out, mark := filepath.Join(c.Built, p.name), filepath.Join(c.Built, p.name+".stamp")

	if had, err := os.ReadFile(mark); err == nil && string(had) == stamp {
		if _, err := os.Stat(out); err == nil {
			return nil
		}
	}

	start := time.Now()

	// Not -trimpath: it would share nothing of the build cache with others.
	command := exec.CommandContext(ctx, "go", "build", "-v", "-p", strconv.Itoa(parallel()), "-buildvcs=false", "-ldflags", p.ldflags, "-o", out, p.pkg)
	command.Dir = filepath.Join(root, p.module)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")

	if p.large {
		c.say("building %s; the first time this takes ten minutes or so and 4 GB of build cache, later seconds", p.name)
	}

	if err := c.compile(command, p.name); err != nil {
		return fmt.Errorf("build %s: %w", p.name, err)
	}

	c.say("built %s in %s", p.name, took(start))

	return os.WriteFile(mark, []byte(stamp), 0o600)
}

// compile runs a build and says now and then how far it is: go build -v prints
// a line for every package that it compiles.
func (c Config) compile(command *exec.Cmd, name string) error {
	lines, write := io.Pipe()
	command.Stdout, command.Stderr = write, write

	var (
		reading sync.WaitGroup
		said    []string
		count   int
		start   = time.Now()
		last    = start
	)

	reading.Go(func() {
		for in := bufio.NewReader(lines); ; {
			line, err := in.ReadString('\n')
			if line != "" {
				count++
				said = append(said[max(0, len(said)-40):], line)
			}

			if time.Since(last) > tellEvery {
				last = time.Now()
				c.say("building %s: %d packages compiled in %s", name, count, took(start))
			}

			if err != nil {
				return
			}
		}
	})

	err := command.Run()

	write.Close()
	reading.Wait()

	if err != nil {
		return fmt.Errorf("%w\n%s", err, strings.Join(said, ""))
	}

	return nil
}

// stamp is a digest of all that a program is made of.
func (p program) stamp(root string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOARCH, p)

	for _, source := range p.sources {
		err := filepath.WalkDir(filepath.Join(root, source), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".md") {
				return err
			}

			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}

			place, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}

			fmt.Fprintf(sum, "%s %d\n%s", place, len(content), content)

			return nil
		})
		if err != nil {
			return "", err
		}
	}

	return hex.EncodeToString(sum.Sum(nil)), nil
}

// parallel is how many packages are compiled at once: the largest takes
// 3.3 GB of memory.
func parallel() int {
	const each = 4 << 20 // kB

	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 1
	}

	var total int
	if _, err := fmt.Sscanf(string(memory), "MemTotal: %d kB", &total); err != nil {
		return 1
	}

	return max(1, min(runtime.NumCPU(), total/each))
}

// pause makes the image that holds every pod's namespaces, as a file: it has to
// be there before any registry.
func (c Config) pause() error {
	made, err := image.New(image.Spec{
		Files:      map[string]string{"/pause": filepath.Join(c.Built, "pause")},
		Entrypoint: []string{"/pause"},
	})
	if err != nil {
		return err
	}

	file, err := os.Create(filepath.Join(c.Built, "pause.tar"))
	if err != nil {
		return err
	}

	return errors.Join(made.Archive(file, pauseImage), file.Close())
}

func took(since time.Time) time.Duration { return time.Since(since).Round(100 * time.Millisecond) }
