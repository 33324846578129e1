package observe_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shiplog/shiplog/deployer"
)

// memory is a target whose instances are the test's: what is written and what
// runs is said by it, and keeps the contract of deployer.Deployer.
type memory struct {
	mu       sync.Mutex
	output   map[deployer.Unit]map[string][]deployer.Line
	contents map[deployer.Unit][]deployer.Content
	down     bool
	// late: what was written is not to be read yet.
	late   map[deployer.Unit]bool
	wakers []chan deployer.Unit
}

func newMemory() *memory {
	return &memory{output: map[deployer.Unit]map[string][]deployer.Line{}, contents: map[deployer.Unit][]deployer.Content{}, late: map[deployer.Unit]bool{}}
}

// write writes n more lines, numbered by their source.
func (m *memory) write(u deployer.Unit, source deployer.Source, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.output[u] == nil {
		m.output[u] = map[string][]deployer.Line{}
	}

	for range n {
		position := int64(len(m.output[u][source.Key])) + 1
		m.output[u][source.Key] = append(m.output[u][source.Key], deployer.Line{
			Source: source, Position: position, Time: time.Now(), Text: fmt.Sprintf("%s line %d", source.Key, position),
		})
	}

	m.wake(u)
}

// delay keeps what is written from being read until it is waited for.
func (m *memory) delay(u deployer.Unit) {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.late[u] = true
}

func (m *memory) runs(u deployer.Unit, contents ...deployer.Content) {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.contents[u] = contents
	m.wake(u)
}

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.down = down
	for u := range m.contents {
		m.wake(u)
	}
}

func (m *memory) wake(u deployer.Unit) {
	for _, w := range m.wakers {
		select {
		case w <- u:
		default: // a hint
		}
	}
}

func (m *memory) Units(context.Context) ([]deployer.Unit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()

	var units []deployer.Unit
	for u, contents := range m.contents {
		if len(contents) > 0 {
			units = append(units, u)
		}
	}

	return units, nil
}

func (m *memory) Observe(_ context.Context, u deployer.Unit) (deployer.Observation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.down {
		return deployer.Observation{}, errors.New("the target is down")
	}

	return deployer.Observation{At: time.Now(), Contents: slices.Clone(m.contents[u])}, nil
}

func (m *memory) Read(_ context.Context, u deployer.Unit, after map[string]int64, limit int) ([]deployer.Line, error) {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.down {
		return nil, errors.New("the target is down")
	}

	if m.late[u] {
		return nil, nil
	}

	var lines []deployer.Line
	for key, all := range m.output[u] {
		lines = append(lines, all[min(after[key], int64(len(all))):]...)
	}

	slices.SortStableFunc(lines, func(a, b deployer.Line) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Source.Key, b.Source.Key), cmp.Compare(a.Position, b.Position))
	})

	return lines[:min(limit, len(lines))], nil
}

// Settle brings the output that is late.
func (m *memory) Settle(_ context.Context, u deployer.Unit, _ map[string]int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.down {
		return errors.New("the target is down")
	}

	delete(m.late, u)

	return nil
}

func (m *memory) Wake(ctx context.Context) <-chan deployer.Unit {
	out, in := make(chan deployer.Unit), make(chan deployer.Unit, 16)

	m.mu.Lock()
	m.wakers = append(m.wakers, in)
	m.mu.Unlock()

	go func() {
		defer close(out)

		for {
			select {
			case <-ctx.Done():
				return
			case u := <-in:
				select {
				case out <- u:
				case <-ctx.Done():
				}
			}
		}
	}()

	return out
}
