package share

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shiplog/shiplog/internal/logs"
)

func segment() *logs.Segment { return &logs.Segment{First: 1, Last: 1, Lines: make([]logs.Line, 1)} }

func (c *cache) held() (entries, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()

	return len(c.entries), c.size
}

func TestManyViewersEncodeOnce(t *testing.T) {
	t.Parallel()

	c, s := newCache(1<<20), segment()

	var (
		made    atomic.Int32
		viewers sync.WaitGroup
	)

	for range 100 {
		viewers.Go(func() {
			got := c.get(s, "key", func() []byte {
				made.Add(1)

				return []byte("encoded")
			})
			if string(got) != "encoded" {
				t.Errorf("got %q", got)
			}
		})
	}

	viewers.Wait()

	if made.Load() != 1 {
		t.Errorf("encoded %d times", made.Load())
	}

	if string(c.get(s, "other", func() []byte { return []byte("too") })) != "too" {
		t.Error("another key gave the same encoding")
	}

	runtime.KeepAlive(s)
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()

	const limit = 100 << 10

	c := newCache(limit)
	kept := make([]*logs.Segment, 200)

	for i := range kept {
		kept[i] = segment()
		c.get(kept[i], strconv.Itoa(i), func() []byte { return make([]byte, 1<<10) })
		c.get(kept[0], "0", func() []byte { return make([]byte, 1<<10) }) // in use all the time

		if _, bytes := c.held(); bytes > limit {
			t.Fatalf("%d bytes held", bytes)
		}
	}

	c.get(kept[0], "0", func() []byte {
		t.Error("what is used all the time was dropped")

		return []byte{}
	})

	if entries, _ := c.held(); entries < 50 {
		t.Errorf("only %d entries held", entries)
	}

	// Larger than all there is room for: given all the same.
	if got := c.get(kept[1], "large", func() []byte { return make([]byte, 2*limit) }); len(got) != 2*limit {
		t.Errorf("%d bytes", len(got))
	}

	if _, bytes := c.held(); bytes > limit {
		t.Errorf("%d bytes held", bytes)
	}
}

func TestEncodingsGoWithTheirSegments(t *testing.T) {
	t.Parallel()

	c := newCache(1 << 20)
	for i := range 100 {
		c.get(segment(), strconv.Itoa(i), func() []byte { return []byte("x") })
	}

	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		runtime.GC()

		entries, bytes := c.held()
		if entries == 0 && bytes == 0 {
			return
		}

		if time.Now().After(deadline) {
			t.Fatalf("%d entries of %d bytes are still there", entries, bytes)
		}
	}
}
