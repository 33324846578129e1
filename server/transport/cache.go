package transport

import (
	"container/list"
	"crypto/sha256"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
)

// Estimates of what a parsed document holds in memory, by measurement.
const (
	bytesPerDocument = 2 << 10
	bytesPerToken    = 160
)

// documents is a least-recently-used cache of parsed and validated documents,
// keyed by the hash of their text and bounded by their estimated bytes.
// Documents are shared by requests and never written to.
type documents struct {
	most int

	mu    sync.Mutex
	bytes int
	byKey map[[sha256.Size]byte]*list.Element
	order *list.List // of *entry, the most recently used first
}

type entry struct {
	key   [sha256.Size]byte
	bytes int
	doc   *ast.QueryDocument
}

func newDocuments(most int) *documents {
	return &documents{most: most, byKey: map[[sha256.Size]byte]*list.Element{}, order: list.New()}
}

func (d *documents) get(key [sha256.Size]byte) (*ast.QueryDocument, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()

	e, ok := d.byKey[key]
	if !ok {
		return nil, false
	}

	d.order.MoveToFront(e)

	return e.Value.(*entry).doc, true //nolint:forcetypeassert // only entries are put in
}

func (d *documents) put(key [sha256.Size]byte, doc *ast.QueryDocument, text, tokens int) {
	size := bytesPerDocument + text + tokens*bytesPerToken
	if size > d.most {
		return
	}

	d.mu.Lock()
	defer d.mu.Unlock()

	if _, ok := d.byKey[key]; ok {
		return
	}

	d.byKey[key] = d.order.PushFront(&entry{key: key, bytes: size, doc: doc})
	d.bytes += size

	for d.bytes > d.most {
		last := d.order.Back()
		old := d.order.Remove(last).(*entry) //nolint:forcetypeassert // only entries are put in
		delete(d.byKey, old.key)
		d.bytes -= old.bytes
	}
}
