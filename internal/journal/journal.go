// Package journal keeps the append-only, hash-chained record of everything
// that changed. An entry is recorded inside the transaction of its change
// (Record) and appended as that transaction's last statements, under the lock
// of the one head row, so that the sequence is the order of the commits and
// has no holes.
//
// The chain. An entry's hash is the SHA-256, in hex, of the RFC 8785 form of
//
//	{v, seq, time, type, actor {kind, issuer, subject, display},
//	 source, subject, payloadDigest, prev}
//
// where time is RFC 3339 in UTC with microseconds, payloadDigest is the SHA-256
// of the RFC 8785 form of the payload, and prev is the hash of the entry
// before (64 zeros for the first). The payload stands beside the chain and may
// be redacted without breaking it.
package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/ent/db/journalhead"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/store"
)

// Version is the version of the entries' form.
const Version = 1

// Topic is what is woken with every commit that appended.
const Topic = "journal"

// genesis is the hash before the first entry.
const genesis = "0000000000000000000000000000000000000000000000000000000000000000"

// Kinds of actors.
const (
	User     = "USER"
	CI       = "CI"
	Rule     = "RULE"
	System   = "SYSTEM"
	External = "EXTERNAL"
)

// Actor is who did something.
type Actor struct {
	Kind    string `json:"kind"`
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	Display string `json:"display"`
}

// Entry is what is to be appended.
type Entry struct {
	// ID is made by Record.
	ID string
	// Type such as "deployment.status".
	Type string
	// Actor who did it, Source through what it came ("graphql", "rule",
	// "engine").
	Actor  Actor
	Source string
	// Subject is the id of what it is about; Service the id of the service
	// that it is about, "" for none.
	Subject string
	Service string
	// Message for people; no secrets.
	Message string
	// Payload is marshalled to JSON; nil is an empty object.
	Payload any
}

type pending struct{ entries []Entry }

type pendingKey struct{}

// Record adds the entry to the transaction and gives the id that its event
// will have. Entries are appended in the order of their recording.
func Record(tx *store.Tx, entry Entry) (string, error) {
	eventID, err := id.New(id.Event)
	if err != nil {
		return "", err
	}

	entry.ID = eventID

	p, _ := tx.Value(pendingKey{}, func() any {
		p := &pending{}
		tx.Last(func(ctx context.Context) error { return p.append(ctx, tx) })
		tx.Wake(Topic)

		return p
	}).(*pending)

	p.entries = append(p.entries, entry)

	return eventID, nil
}

// append writes the entries, the lock on the head taken first and held until
// the commit that follows at once.
func (p *pending) append(ctx context.Context, tx *store.Tx) error {
	events := make([]*db.EventCreate, len(p.entries))
	payloads := make([]*db.PayloadCreate, len(p.entries))
	digests := make([]string, len(p.entries))

	for i, e := range p.entries {
		content, err := canonical(e.Payload)
		if err != nil {
			return fmt.Errorf("payload of %s: %w", e.Type, err)
		}

		digests[i] = digest(content)
		payloads[i] = tx.Payload.Create().SetID(e.ID).SetContent(string(content))
	}

	if err := tx.Payload.CreateBulk(payloads...).Exec(ctx); err != nil {
		return fmt.Errorf("append payloads: %w", err)
	}

	head, err := lockHead(ctx, tx)
	if err != nil {
		return err
	}

	now := store.Now()

	for i, e := range p.entries {
		link := Link{
			Version: Version, Seq: head.Seq + 1, Time: Time(now), Type: e.Type, Actor: e.Actor, Source: e.Source,
			Subject: e.Subject, PayloadDigest: digests[i], Prev: head.Hash,
		}

		hash, err := link.Hash()
		if err != nil {
			return err
		}

		events[i] = tx.Event.Create().SetID(e.ID).SetSeq(link.Seq).SetTime(now).SetType(e.Type).
			SetActorKind(event.ActorKind(e.Actor.Kind)).SetActorIssuer(e.Actor.Issuer).SetActorSubject(e.Actor.Subject).SetActorDisplay(e.Actor.Display).
			SetSource(e.Source).SetSubject(e.Subject).SetMessage(e.Message).
			SetPayloadDigest(digests[i]).SetPrev(head.Hash).SetHash(hash)
		if e.Service != "" {
			events[i].SetServiceID(e.Service)
		}

		head.Seq, head.Hash = link.Seq, hash
	}

	if err := tx.Event.CreateBulk(events...).Exec(ctx); err != nil {
		return fmt.Errorf("append events: %w", err)
	}

	if err := tx.JournalHead.UpdateOneID(1).SetSeq(head.Seq).SetHash(head.Hash).Exec(ctx); err != nil {
		return fmt.Errorf("append events: %w", err)
	}

	return nil
}

func lockHead(ctx context.Context, tx *store.Tx) (*db.JournalHead, error) {
	head, err := tx.JournalHead.Query().Where(journalhead.ID(1), tx.Lock).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock the journal: %w", err)
	}

	return head, nil
}

// Init makes the head of an empty journal; an existing one stays.
func Init(ctx context.Context, s *store.Store) error {
	return s.WithTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.JournalHead.Create().SetID(1).SetSeq(0).SetHash(genesis).OnConflictColumns(journalhead.FieldID).Ignore().Exec(ctx)
	})
}

// Position is the seq of the newest entry that the client's snapshot sees.
func Position(ctx context.Context, client *db.Client) (int64, error) {
	head, err := client.JournalHead.Get(ctx, 1)
	if err != nil {
		return 0, store.Classify(err)
	}

	return head.Seq, nil
}

// Link is what an entry's hash is made of.
type Link struct {
	Version       int    `json:"v"`
	Seq           int64  `json:"seq"`
	Time          Time   `json:"time"`
	Type          string `json:"type"`
	Actor         Actor  `json:"actor"`
	Source        string `json:"source"`
	Subject       string `json:"subject"`
	PayloadDigest string `json:"payloadDigest"`
	Prev          string `json:"prev"`
}

// Hash is the entry's hash.
func (l Link) Hash() (string, error) {
	form, err := canonical(l)
	if err != nil {
		return "", fmt.Errorf("hash entry %d: %w", l.Seq, err)
	}

	return digest(form), nil
}

// Time is a moment as the chain writes it.
type Time time.Time

// MarshalJSON writes RFC 3339 in UTC with microseconds.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(strconv.Quote(time.Time(t).UTC().Format("2006-01-02T15:04:05.000000Z"))), nil
}

func canonical(v any) ([]byte, error) {
	if v == nil {
		return []byte("{}"), nil
	}

	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}

	return jcs.Transform(raw)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)

	return hex.EncodeToString(sum[:])
}
