package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/journal"
)

// chain is the journal: one event for each of the newest deployments.
type chain struct {
	size Size
	// head is the hash of the last event that was made.
	head string
	err  error
}

func (c *chain) tables() []table {
	return []table{
		{"payloads", []string{"id", "content"}, c.payloads},
		{"events", []string{
			"id", "actor_kind", "actor_issuer", "actor_subject", "actor_display", "seq", "time", "type", "source", "subject", "service_id",
			"message", "payload_digest", "prev", "hash",
		}, c.events},
	}
}

// payload is the canonical form of event n's payload.
func (c *chain) payload(n int) string {
	return fmt.Sprintf(`{"deployment":%q,"status":"SUCCEEDED"}`, identifier(id.Deployment, c.number(n)))
}

// number is the number of the deployment that event n, from 1, is about.
func (c *chain) number(n int) int { return c.size.Total() - c.size.Events + n }

func (c *chain) payloads(yield func([]any) bool) {
	for n := 1; n <= c.size.Events; n++ {
		if !yield([]any{identifier(id.Event, n), c.payload(n)}) {
			return
		}
	}
}

func (c *chain) events(yield func([]any) bool) {
	actor := journal.Actor{Kind: journal.CI, Issuer: "local", Subject: "ci", Display: "CI"}
	c.head = strings.Repeat("0", sha256.Size*2)

	for n := 1; n <= c.size.Events; n++ {
		sum := sha256.Sum256([]byte(c.payload(n)))
		number := c.number(n)
		link := journal.Link{
			Version: journal.Version, Seq: int64(n), Time: journal.Time(began.Add(time.Duration(number) * time.Second)), Type: "deployment.recorded",
			Actor: actor, Source: "graphql", Subject: identifier(id.Deployment, number), PayloadDigest: hex.EncodeToString(sum[:]), Prev: c.head,
		}

		if c.head, c.err = link.Hash(); c.err != nil {
			return
		}

		if !yield([]any{
			identifier(id.Event, n), actor.Kind, actor.Issuer, actor.Subject, actor.Display, n, time.Time(link.Time), link.Type, link.Source, link.Subject,
			c.size.serviceID((number-1)%c.size.Services + 1), "recorded", link.PayloadDigest, link.Prev, c.head,
		}) {
			return
		}
	}
}
