package journal

import (
	"context"
	"fmt"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/ent/db/payload"
	"github.com/shiplog/shiplog/internal/store"
)

// batch bounds how many entries are read at once.
const batch = 1000

// Broken says which entry does not fit, and why.
type Broken struct {
	Seq    int64
	Reason string
}

// Error names the entry.
func (b *Broken) Error() string { return fmt.Sprintf("journal: entry %d: %s", b.Seq, b.Reason) }

// Verify walks the whole chain and gives the number of its entries.
// Errors: *Broken for the first entry that does not fit.
func Verify(ctx context.Context, s *store.Store) (entries int64, err error) {
	err = s.ReadTx(ctx, func(ctx context.Context, client *db.Client) error {
		prev := genesis

		for {
			events, err := client.Event.Query().Where(event.SeqGT(entries)).Order(event.BySeq()).Limit(batch).All(ctx)
			if err != nil {
				return err
			}

			payloads, err := payloadsOf(ctx, client, events)
			if err != nil {
				return err
			}

			for _, e := range events {
				if e.Seq != entries+1 {
					return &Broken{Seq: entries + 1, Reason: "is missing"}
				}

				if err := verifyOne(e, prev, payloads); err != nil {
					return err
				}

				entries, prev = e.Seq, e.Hash
			}

			if len(events) < batch {
				return verifyHead(ctx, client, entries, prev)
			}
		}
	})

	return entries, err
}

func payloadsOf(ctx context.Context, client *db.Client, events []*db.Event) (map[string]*db.Payload, error) {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}

	rows, err := client.Payload.Query().Where(payload.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, err
	}

	found := make(map[string]*db.Payload, len(rows))
	for _, row := range rows {
		found[row.ID] = row
	}

	return found, nil
}

func verifyOne(e *db.Event, prev string, payloads map[string]*db.Payload) error {
	link := Link{
		Version: Version, Seq: e.Seq, Time: Time(e.Time), Type: e.Type, Source: e.Source, Subject: e.Subject,
		Actor:         Actor{Kind: string(e.ActorKind), Issuer: e.ActorIssuer, Subject: e.ActorSubject, Display: e.ActorDisplay},
		PayloadDigest: e.PayloadDigest, Prev: e.Prev,
	}

	hash, err := link.Hash()
	if err != nil {
		return err
	}

	content, ok := payloads[e.ID]

	switch {
	case e.Prev != prev:
		return &Broken{Seq: e.Seq, Reason: "does not follow the entry before"}
	case hash != e.Hash:
		return &Broken{Seq: e.Seq, Reason: "was changed"}
	case !ok:
		return &Broken{Seq: e.Seq, Reason: "has no payload"}
	case content.Content != nil && digest([]byte(*content.Content)) != e.PayloadDigest:
		return &Broken{Seq: e.Seq, Reason: "has another payload"}
	}

	return nil
}

func verifyHead(ctx context.Context, client *db.Client, seq int64, hash string) error {
	head, err := client.JournalHead.Get(ctx, 1)
	if err != nil {
		return err
	}

	if head.Seq != seq || head.Hash != hash {
		return &Broken{Seq: seq + 1, Reason: fmt.Sprintf("the journal's head is at %d: entries at the end are missing", head.Seq)}
	}

	return nil
}
