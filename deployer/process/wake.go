//go:build unix

package process

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/shiplog/shiplog/deployer"
)

const (
	// rescan is how often directories that were missed are looked for.
	rescan = time.Second
	// maxWatches bounds what is asked of the system (Linux allows a user some
	// thousands); callers poll what is beyond it.
	maxWatches = 1024
)

// Wake sends units whose files change. Without file notification (too many
// watches in use) it is silent, and polling is all there is. The channel is
// closed when ctx has ended and the goroutine behind it is done.
func (d *Deployer) Wake(ctx context.Context) <-chan deployer.Unit {
	out := make(chan deployer.Unit)

	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		go func() {
			defer close(out)
			<-ctx.Done()
		}()

		return out
	}

	w := &wakes{root: filepath.Join(d.config.Dir, "units"), deployer: d, watcher: watcher, watched: map[string]bool{}}
	// Before it returns, so that nothing that happens later is missed.
	w.watchAll()

	go func() {
		defer close(out)
		// Nobody can be told, and the descriptor is gone either way.
		defer func() { _ = watcher.Close() }()

		w.run(ctx, out)
	}()

	return out
}

// wakes turns file events into units. Everything belongs to one goroutine.
type wakes struct {
	root     string
	deployer *Deployer
	watcher  *fsnotify.Watcher
	watched  map[string]bool
	// pending units in the order of their first event; each is in it once.
	pending []deployer.Unit
}

func (w *wakes) run(ctx context.Context, out chan<- deployer.Unit) {
	tick := time.NewTicker(rescan)
	defer tick.Stop()

	for {
		var (
			to   chan<- deployer.Unit
			head deployer.Unit
		)

		if len(w.pending) > 0 {
			to, head = out, w.pending[0]
		}

		select {
		case <-ctx.Done():
			return
		case event, ok := <-w.watcher.Events:
			if !ok {
				return
			}

			w.take(event)
		case _, ok := <-w.watcher.Errors:
			if !ok {
				return
			}
			// Events were lost: anything may have changed.
			w.watchAll()
			w.markAll()
		case <-tick.C:
			w.deployer.reap()
			w.watchAll()
		case to <- head:
			w.pending = w.pending[1:]
		}
	}
}

// take marks the unit of a file that has changed, and watches directories that
// have come.
func (w *wakes) take(event fsnotify.Event) {
	name := filepath.Base(event.Name)
	if strings.HasSuffix(name, ".tmp") || name == "lock" || name == "control" || name == "shim.log" {
		return
	}

	if event.Has(fsnotify.Create) {
		if info, err := os.Stat(event.Name); err == nil && info.IsDir() {
			w.watchTree(event.Name)
		}
	}

	rel, err := filepath.Rel(w.root, event.Name)
	if err != nil {
		return
	}

	parts := strings.Split(rel, string(filepath.Separator))
	if len(parts) >= 3 {
		w.mark(deployer.Unit{Environment: parts[0], Service: parts[1]})
	}
}

func (w *wakes) mark(u deployer.Unit) {
	if slices.Contains(w.pending, u) {
		return
	}

	w.pending = append(w.pending, u)
}

func (w *wakes) markAll() {
	units, err := w.deployer.known()
	if err != nil {
		return // the next rescan tries again, and callers poll
	}

	for _, u := range units {
		w.mark(u)
	}
}

func (w *wakes) watchAll() {
	clear(w.watched)
	for _, dir := range w.watcher.WatchList() {
		w.watched[dir] = true
	}

	w.watchTree(w.root)
}

// watchTree watches a directory and what is below it, which is at most three
// levels; a run that has stopped says nothing any more. A unit in which
// something was there before its watch is marked.
func (w *wakes) watchTree(dir string) {
	rel, err := filepath.Rel(w.root, dir)
	if err != nil {
		return
	}

	parts := strings.Split(rel, string(filepath.Separator))
	if rel == "." {
		parts = nil
	}

	// units / environment / service / runs / run
	if len(parts) > 4 || len(parts) >= 3 && parts[2] != "runs" {
		return
	}

	if len(parts) == 4 && runDir(dir).readState().Phase == phaseStopped {
		return
	}

	if w.watch(dir) && len(parts) >= 3 {
		w.mark(deployer.Unit{Environment: parts[0], Service: parts[1]})
	}

	entries, err := os.ReadDir(dir)
	if err != nil || len(parts) == 4 {
		return
	}

	for _, e := range entries {
		if e.IsDir() {
			w.watchTree(filepath.Join(dir, e.Name()))
		}
	}
}

// watch reports whether the watch is new. The system forgets it with the
// directory.
func (w *wakes) watch(dir string) bool {
	if w.watched[dir] || len(w.watched) >= maxWatches || w.watcher.Add(dir) != nil {
		return false
	}

	w.watched[dir] = true

	return true
}
