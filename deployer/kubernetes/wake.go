package kubernetes

import (
	"context"
	"sync"

	"github.com/shiplog/shiplog/deployer"
)

// wakes feeds one channel of Wake. Marks are a set, so that they never grow
// beyond the number of units; bell has one slot.
type wakes struct {
	mu     sync.Mutex
	marked map[deployer.Unit]bool
	bell   chan struct{}
}

func (w *wakes) mark(u deployer.Unit) {
	w.mu.Lock()
	w.marked[u] = true
	w.mu.Unlock()

	select {
	case w.bell <- struct{}{}:
	default:
	}
}

func (w *wakes) take() []deployer.Unit {
	w.mu.Lock()
	defer w.mu.Unlock()

	units := make([]deployer.Unit, 0, len(w.marked))
	for u := range w.marked {
		units = append(units, u)
	}

	clear(w.marked)

	return units
}

// Wake tells of every change of an object of a unit, and of new output as long
// as it is followed.
func (d *Deployer) Wake(ctx context.Context) <-chan deployer.Unit {
	w := &wakes{marked: map[deployer.Unit]bool{}, bell: make(chan struct{}, 1)}
	units := make(chan deployer.Unit)

	d.mu.Lock()
	d.wakes[w] = true
	d.mu.Unlock()

	for _, c := range d.clusters {
		c.watch.start()
	}

	go func() {
		defer close(units)
		defer func() {
			d.mu.Lock()
			delete(d.wakes, w)
			d.mu.Unlock()
		}()

		for {
			select {
			case <-ctx.Done():
				return
			case <-w.bell:
			}

			for _, u := range w.take() {
				select {
				case <-ctx.Done():
					return
				case units <- u:
				}
			}
		}
	}()

	return units
}

// changed marks a unit as changed for whoever looks at it.
func (d *Deployer) changed(u deployer.Unit) {
	d.mu.Lock()
	defer d.mu.Unlock()

	if last, ok := d.looks[u]; ok && !last.dirty {
		last.dirty = true
		d.looks[u] = last
	}

	for w := range d.wakes {
		w.mark(u)
	}
}
