package share

import (
	"container/list"
	"runtime"
	"sync"
	"weak"

	"github.com/shiplog/shiplog/internal/logs"
)

// entryBytes is about what an entry takes beside its encoding.
const entryBytes = 512

// place is what an encoding is of: a segment, written in one way.
type place struct {
	segment weak.Pointer[logs.Segment]
	key     string
}

type entry struct {
	place place
	once  sync.Once
	// payload is set within once; size, and being in use, under the lock.
	payload []byte
	size    int
	at      *list.Element
	cleanup runtime.Cleanup
}

// cache keeps encodings, the last used ones, up to a number of bytes.
type cache struct {
	limit int

	mu      sync.Mutex
	entries map[place]*entry
	// used has entries, the last used one in front.
	used list.List
	size int
}

func newCache(limit int) *cache {
	return &cache{limit: limit, entries: map[place]*entry{}}
}

// get gives the encoding of the segment, made by whoever needs it first.
func (c *cache) get(segment *logs.Segment, key string, encode func() []byte) []byte {
	e := c.entry(segment, key)
	e.once.Do(func() {
		e.payload = encode()
		c.grow(e)
	})

	// A panic of encode made nothing, for the others too.
	if e.payload == nil {
		return encode()
	}

	return e.payload
}

func (c *cache) entry(segment *logs.Segment, key string) *entry {
	at := place{weak.Make(segment), key}

	c.mu.Lock()
	defer c.mu.Unlock()

	if e := c.entries[at]; e != nil {
		c.used.MoveToFront(e.at)

		return e
	}

	e := &entry{place: at, size: entryBytes + len(key)}
	e.at = c.used.PushFront(e)
	e.cleanup = runtime.AddCleanup(segment, c.forget, at)
	c.entries[at] = e
	c.size += e.size

	return e
}

// grow counts the encoding and makes room for it.
func (c *cache) grow(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.entries[e.place] != e {
		return // It was dropped meanwhile.
	}

	e.size += len(e.payload)
	c.size += len(e.payload)

	for c.size > c.limit && c.used.Len() > 0 {
		oldest, _ := c.used.Back().Value.(*entry)
		oldest.cleanup.Stop()
		c.drop(oldest)
	}
}

// forget drops the encoding of a segment that is gone.
func (c *cache) forget(at place) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if e := c.entries[at]; e != nil {
		c.drop(e)
	}
}

func (c *cache) drop(e *entry) {
	delete(c.entries, e.place)
	c.used.Remove(e.at)
	c.size -= e.size
}
