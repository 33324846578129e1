//go:build unix

package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/internal/spec"
)

// runServer is a server that is going to be killed: it carries the act in the
// file out again and again, and ends with an error alone.
func runServer(args []string) error {
	data, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}

	var act deployer.Act
	if err := json.Unmarshal(data, &act); err != nil {
		return err
	}

	exe, err := os.Executable()
	if err != nil {
		return err
	}

	d, err := New(Config{Dir: args[0], Program: []string{exe}, Grace: 2 * time.Second, Drain: time.Millisecond})
	if err != nil {
		return err
	}

	for {
		if _, err := d.Apply(context.Background(), act); err != nil && !errors.Is(err, deployer.ErrFenced) {
			return err
		}

		if _, err := d.Rollout(context.Background(), act); err != nil && !errors.Is(err, deployer.ErrFenced) {
			return err
		}
	}
}

// copies counts the application's processes that carry the mark, by parent.
func copies(t *testing.T, mark string) map[int]int {
	t.Helper()

	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}

	found := map[int]int{}
	for _, p := range all {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		if err == nil && strings.Contains(string(data), "test-app") && strings.Contains(string(data), mark) && p.state != "Z" {
			found[p.pid] = p.parent
		}
	}

	return found
}

func TestKilledServerLeavesNoCopyNoOrphanAndLosesNoLine(t *testing.T) {
	t.Parallel()

	const kills = 25

	dir := target(t)
	mark := filepath.Base(filepath.Dir(dir)) + "-mark"
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	act := func(n int) deployer.Act {
		// Every third time the content stays.
		s := app(t, func(p *spec.Process) { p.Replicas = 2 }, "count", "0", mark, strconv.Itoa(n-n%3))

		return actOf(t, "d"+strconv.Itoa(n), int64(n), s)
	}

	for n := 1; n <= kills; n++ {
		file := filepath.Join(t.TempDir(), "act.json")

		data, err := json.Marshal(act(n))
		if err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(file, data, fileMode); err != nil {
			t.Fatal(err)
		}

		server := exec.Command(os.Args[0], "test-server", dir, file)
		server.Stderr = os.Stderr

		if err := server.Start(); err != nil {
			t.Fatal(err)
		}

		// From before its first step to the middle of its rollout.
		<-time.After(time.Duration(random.IntN(250)) * time.Millisecond)

		if err := server.Process.Kill(); err != nil {
			t.Fatal(err)
		}

		if err := server.Wait(); err == nil {
			t.Fatal("the server ended by itself")
		}

		onePerRun(t, dir)
	}

	d := open(t, dir)
	if err := d.Adopt(t.Context()); err != nil {
		t.Fatal(err)
	}

	settleReady(t, d, act(kills+1))

	within(t, 10*time.Second, func() error {
		if err := d.Adopt(t.Context()); err != nil {
			return err
		}

		if got := copies(t, mark); len(got) != 2 {
			return fmt.Errorf("%d copies run, want 2", len(got))
		}

		return nil
	})

	lines := numbers(t, d)
	if lines == 0 {
		t.Error("nothing was read")
	}

	t.Logf("%d lines of %d servers", lines, kills+1)

	settleReady(t, d, actOf(t, "gone", kills+2, nil))

	if got := copies(t, mark); len(got) > 0 {
		t.Errorf("orphans: %v", got)
	}
}

// onePerRun checks that no run has two shims that hold it.
func onePerRun(t *testing.T, dir string) {
	t.Helper()

	within(t, 5*time.Second, func() error {
		seen := map[string]int{}
		for pid, run := range shims(t, dir) {
			if other, twice := seen[run]; twice {
				return fmt.Errorf("%s has shims %d and %d", run, pid, other)
			}

			seen[run] = pid
		}

		return nil
	})
}

// numbers checks that what each attempt wrote is numbered from 1 without a
// hole or a double, and counts the lines.
func numbers(t *testing.T, d *Deployer) int {
	t.Helper()

	next := map[string]int{}
	lines := texts(t, d)

	for _, l := range lines {
		key := fmt.Sprintf("%s#%d", l.Source.Key, l.Source.Attempt)
		next[key]++

		if want := fmt.Sprintf("number %d", next[key]); l.Text != want || l.Gap != 0 {
			t.Fatalf("%s: %q with a gap of %d, want %q", key, l.Text, l.Gap, want)
		}
	}

	return len(lines)
}

func TestRecordedButNotSpawned(t *testing.T) {
	t.Parallel()

	dir := target(t)
	d := open(t, dir)
	act := actOf(t, "d1", 1, app(t, withPort, "serve", "a"))

	// What a server leaves that dies right after it has written the anchor.
	err := d.withUnit(t.Context(), act.Unit, true, func(u unitDir, a anchor) error {
		p, err := plan(act.Snapshot)
		if err != nil {
			return err
		}

		a.claim(act, time.Now())

		g, err := d.newGeneration(&a, act, p)
		if err != nil {
			return err
		}

		a.Target, a.Generations = g.Name, append(a.Generations, g)

		return u.save(a)
	})
	if err != nil {
		t.Fatal(err)
	}

	next := open(t, dir)

	applied, err := next.Apply(t.Context(), act)
	if err != nil || !applied.Unchanged {
		t.Fatalf("applied %+v (%v), want what was recorded", applied, err)
	}

	settleReady(t, next, act)

	if n := len(shims(t, dir)); n != 2 {
		t.Errorf("%d detached processes, want a shim and a proxy", n)
	}
}

func TestKilledShimIsReplaced(t *testing.T) {
	t.Parallel()

	dir := target(t)
	mark := filepath.Base(filepath.Dir(dir)) + "-mark"
	d := open(t, dir)
	act := actOf(t, "d1", 1, app(t, nil, "count", "0", mark))
	settleReady(t, d, act)

	for pid := range shims(t, dir) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}

	within(t, 10*time.Second, func() error {
		if n := len(copies(t, mark)); n > 0 {
			return fmt.Errorf("%d containers outlive their shim", n)
		}

		return nil
	})

	// Its threads end one after the other: the lock goes with the last.
	within(t, 10*time.Second, func() error {
		seen, err := d.Observe(t.Context(), act.Unit)
		if err == nil && seen.Contents[0].Ready != 0 {
			err = fmt.Errorf("observed %+v, want none ready", seen.Contents)
		}

		return err
	})

	before := len(texts(t, d))

	if err := d.Adopt(t.Context()); err != nil {
		t.Fatal(err)
	}

	within(t, 10*time.Second, func() error {
		seen, err := d.Observe(t.Context(), act.Unit)
		if err == nil && (seen.Contents[0].Ready != 1 || len(texts(t, d)) <= before) {
			err = errors.New("it does not run again")
		}

		return err
	})

	if n := len(copies(t, mark)); n != 1 {
		t.Errorf("%d copies, want 1", n)
	}

	last := texts(t, d)
	for i, l := range last {
		if l.Position != int64(i+1) {
			t.Fatalf("position %d at %d", l.Position, i)
		}
	}

	if a := last[len(last)-1].Source.Attempt; a != 2 {
		t.Errorf("attempt %d, want 2", a)
	}
}

func TestStrangerInTheRunsIsStopped(t *testing.T) {
	t.Parallel()

	dir := target(t)
	d := open(t, dir)
	act := actOf(t, "d1", 1, app(t, nil, "hang"))
	settleReady(t, d, act)

	// The anchor is lost: nobody names the instance any more.
	u, err := d.unitDir(act.Unit)
	if err != nil {
		t.Fatal(err)
	}

	if err := u.save(anchor{Epoch: 1}); err != nil {
		t.Fatal(err)
	}

	within(t, 10*time.Second, func() error {
		if err := d.Adopt(t.Context()); err != nil {
			return err
		}

		if left := shims(t, dir); len(left) > 0 {
			return fmt.Errorf("orphans: %v", left)
		}

		return nil
	})
}

func TestStopAllKeepsWhatIsWanted(t *testing.T) {
	t.Parallel()

	dir := target(t)
	d := open(t, dir)
	act := actOf(t, "d1", 1, app(t, withPort, "serve", "a"))
	settleReady(t, d, act)

	if err := d.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}

	if left := shims(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}

	next := open(t, dir)
	if err := next.Adopt(t.Context()); err != nil {
		t.Fatal(err)
	}

	within(t, 10*time.Second, func() error {
		seen, err := next.Observe(t.Context(), act.Unit)
		if err != nil {
			return err
		}

		got, err := reach(t.Context(), seen.Endpoints["http"])
		if err == nil && got != "a" {
			err = fmt.Errorf("answers %q", got)
		}

		return err
	})
}

func TestEndedInstancesAreForgotten(t *testing.T) {
	t.Parallel()

	dir := target(t)
	d := open(t, dir)
	d.config.Retain = 2

	for n := 1; n <= 5; n++ {
		settleReady(t, d, actOf(t, "d"+strconv.Itoa(n), int64(n), app(t, func(p *spec.Process) {
			p.Containers["web"] = spec.ProcessContainer{
				Command: p.Containers["web"].Command, Args: []string{"serve", strconv.Itoa(n)},
			}
			withPort(p)
		}, "serve")))
	}

	gone := actOf(t, "gone", 9, nil)
	settleReady(t, d, gone)

	if err := d.Adopt(t.Context()); err != nil {
		t.Fatal(err)
	}

	u, err := d.unitDir(gone.Unit)
	if err != nil {
		t.Fatal(err)
	}

	runs, err := u.list()
	if err != nil || len(runs) != 2 {
		t.Errorf("%d ended instances are kept (%v), want 2", len(runs), err)
	}

	ports, err := os.ReadDir(filepath.Join(dir, "ports"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(ports) > 0 {
		t.Errorf("%d ports are still reserved (%v)", len(ports), err)
	}
}
