// Package testschema is a small executable schema on which the transports and
// limits are tested: it answers, fails, panics, waits and streams.
package testschema

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/shiplog/shiplog/internal/fault"
)

// Resolvers resolve the schema. The zero value is ready.
type Resolvers struct {
	// Bumps counts the mutations that were executed.
	Bumps atomic.Int64
	// Open counts subscriptions that run.
	Open atomic.Int64
	// Hold, when set, is what the mutation `held` waits for.
	Hold chan struct{}
	// Holding, when set, gets a token when `held` waits.
	Holding chan struct{}
}

// New makes the executable schema of the resolvers.
func New(r *Resolvers) graphql.ExecutableSchema {
	return NewExecutableSchema(Config{Resolvers: r})
}

// Query resolves queries.
func (r *Resolvers) Query() QueryResolver { return query{} }

// Mutation resolves mutations.
func (r *Resolvers) Mutation() MutationResolver { return mutation{r} }

// Subscription resolves subscriptions.
func (r *Resolvers) Subscription() SubscriptionResolver { return subscription{r} }

// Item resolves items.
func (r *Resolvers) Item() ItemResolver { return item{} }

// Tag resolves tags.
func (r *Resolvers) Tag() TagResolver { return tag{} }

type query struct{}

func (query) Hello(context.Context) (string, error) { return "world", nil }

func (query) Echo(
	_ context.Context, text *string, number *int, _ *float64, _ *bool, id *string, tone *Tone, _ *EchoInput, _ *time.Time, list []int,
) (string, error) {
	said := []string{}
	if text != nil {
		said = append(said, *text)
	}

	if number != nil {
		said = append(said, strconv.Itoa(*number))
	}

	if id != nil {
		said = append(said, *id)
	}

	if tone != nil {
		said = append(said, tone.String())
	}

	return strings.Join(append(said, strconv.Itoa(len(list))), " "), nil
}

func (query) Items(_ context.Context, first *int, _ *string, last *int) (*ItemConnection, error) {
	n := 2
	if first != nil {
		n = *first
	}

	if last != nil {
		n = *last
	}

	return page(n)
}

func page(n int) (*ItemConnection, error) {
	if n < 0 {
		return nil, fault.Invalid("first", "first must not be negative")
	}

	c := &ItemConnection{TotalCount: n}
	for i := range n {
		one := &Item{ID: strconv.Itoa(i), Name: fmt.Sprintf("item %d", i)}
		c.Nodes = append(c.Nodes, one)
		c.Edges = append(c.Edges, &ItemEdge{Cursor: one.ID, Node: one})
	}

	return c, nil
}

func (query) List(_ context.Context, limit *int) ([]*Item, error) {
	c, err := page(*limit)
	if err != nil {
		return nil, err
	}

	return c.Nodes, nil
}

func (query) Nodes(_ context.Context, ids []string) ([]*Item, error) {
	c, err := page(len(ids))
	if err != nil {
		return nil, err
	}

	return c.Nodes, nil
}

func (query) Fail(_ context.Context, code, message *string) (*string, error) {
	if code == nil {
		return nil, errors.New("pq: relation \"secret_table\" does not exist at /srv/db.go:12")
	}

	text := "refused"
	if message != nil {
		text = *message
	}

	return nil, fault.Wrap(errors.New("dial tcp secret.internal:5432: no route to host"), fault.Code(*code), "%s", text)
}

func (query) Panic(context.Context) (*string, error) {
	panic("a resolver panics on purpose: secret_value")
}

func (query) Wait(ctx context.Context) (*string, error) {
	<-ctx.Done()

	return nil, fmt.Errorf("wait: %w", ctx.Err())
}

type mutation struct{ *Resolvers }

func (m mutation) Bump(context.Context) (int, error) { return int(m.Bumps.Add(1)), nil }

func (m mutation) Held(ctx context.Context) (int, error) {
	if m.Holding != nil {
		m.Holding <- struct{}{}
	}

	select {
	case <-m.Hold:
		return 1, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("held: %w", ctx.Err())
	}
}

type subscription struct{ *Resolvers }

// stream sends what make gives until it says that there is no more.
func stream[T any](ctx context.Context, r *Resolvers, produce func(i int) (T, bool)) <-chan T {
	out := make(chan T)

	r.Open.Add(1)

	go func() {
		defer r.Open.Add(-1)
		defer close(out)

		for i := 0; ; i++ {
			v, ok := produce(i)
			if !ok {
				return
			}

			select {
			case out <- v:
			case <-ctx.Done():
				return
			}
		}
	}()

	return out
}

func (s subscription) Count(ctx context.Context, to int) (<-chan int, error) {
	return stream(ctx, s.Resolvers, func(i int) (int, bool) { return i + 1, i < to }), nil
}

func (s subscription) Lines(ctx context.Context, from, to, size *int) (<-chan *LineBatch, error) {
	return stream(ctx, s.Resolvers, func(i int) (*LineBatch, bool) {
		b := Lines(*from+i**size, *size)

		return b, to == nil || *from+i**size < *to
	}), nil
}

// Lines makes a batch of lines of 200 bytes, numbered from the given one.
func Lines(from, size int) *LineBatch {
	b := &LineBatch{Cursor: strconv.Itoa(from + size)}
	for i := range size {
		n := strconv.Itoa(from + i)
		b.Lines = append(b.Lines, &Line{Cursor: n, Text: n + strings.Repeat(".", 200-len(n))})
	}

	return b
}

func (s subscription) Silent(ctx context.Context) (<-chan int, error) {
	return stream(ctx, s.Resolvers, func(int) (int, bool) {
		<-ctx.Done()

		return 0, false
	}), nil
}

func (s subscription) Refused(_ context.Context, code string) (<-chan *int, error) {
	return nil, fault.New(fault.Code(code), "refused")
}

func (s subscription) Broken(context.Context) (<-chan *int, error) {
	panic("a subscription panics on purpose")
}

type item struct{}

func (item) Parent(_ context.Context, obj *Item) (*Item, error) {
	return &Item{ID: obj.ID, Name: "parent"}, nil
}

func (item) Children(_ context.Context, _ *Item, first *int) (*ItemConnection, error) {
	n := 1
	if first != nil {
		n = *first
	}

	return page(n)
}

func (item) Tags(context.Context, *Item) ([]*Tag, error) { return []*Tag{{Name: "tag"}}, nil }

type tag struct{}

func (tag) Item(context.Context, *Tag) (*Item, error) { return &Item{ID: "0", Name: "tagged"}, nil }
