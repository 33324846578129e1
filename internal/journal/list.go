package journal

import (
	"context"
	"fmt"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/ent/db/predicate"
	"github.com/shiplog/shiplog/ent/db/service"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/id"
	"github.com/shiplog/shiplog/internal/page"
	"github.com/shiplog/shiplog/internal/store"
)

// maxTypes bounds the types of a filter.
const maxTypes = 50

// Filter selects entries; what is given must all hold.
type Filter struct {
	Types   []string
	Subject *string
	Service *string
	Actor   *string
	After   *time.Time
	Before  *time.Time
}

// Predicates resolves the filter. Errors: NOT_FOUND, INVALID_INPUT with the
// field below "filter".
func (f *Filter) Predicates(ctx context.Context, client *db.Client) ([]predicate.Event, error) {
	if f == nil {
		return nil, nil
	}

	if len(f.Types) > maxTypes {
		return nil, fault.Invalid("filter.types", "want at most %d", maxTypes)
	}

	if err := f.sought(); err != nil {
		return nil, err
	}

	var where, types []predicate.Event

	for _, t := range f.Types {
		if prefix, ok := strings.CutSuffix(t, "*"); ok {
			types = append(types, event.TypeHasPrefix(prefix))
		} else {
			types = append(types, event.Type(t))
		}
	}

	if len(types) > 0 {
		where = append(where, event.Or(types...))
	}

	if f.Subject != nil {
		where = append(where, event.Subject(*f.Subject))
	}

	if f.Service != nil {
		serviceID, err := serviceID(ctx, client, *f.Service)
		if err != nil {
			return nil, err
		}

		where = append(where, event.ServiceID(serviceID))
	}

	if f.Actor != nil {
		where = append(where, event.ActorSubject(*f.Actor))
	}

	if f.After != nil {
		where = append(where, event.TimeGTE(f.After.UTC()))
	}

	if f.Before != nil {
		where = append(where, event.TimeLT(f.Before.UTC()))
	}

	return where, nil
}

// sought refuses texts that no entry can hold.
func (f *Filter) sought() error {
	for i := range f.Types {
		if err := store.Sought(fmt.Sprintf("filter.types[%d]", i), &f.Types[i]); err != nil {
			return err
		}
	}

	for _, text := range []struct {
		field string
		value *string
	}{{"filter.subject", f.Subject}, {"filter.service", f.Service}, {"filter.actor", f.Actor}} {
		if err := store.Sought(text.field, text.value); err != nil {
			return err
		}
	}

	return nil
}

func serviceID(ctx context.Context, client *db.Client, ref string) (string, error) {
	if id.IsOf(ref, id.Service) {
		return ref, nil
	}

	found, err := client.Service.Query().Where(service.Name(ref), service.ArchivedAtIsNil()).OnlyID(ctx)
	if db.IsNotFound(err) {
		return "", fault.Missing("filter.service", "there is no service %q", ref)
	}

	return found, store.Classify(err)
}

// List lists the journal, oldest first; more restricts it further.
func List(ctx context.Context, client *db.Client, filter *Filter, args page.Args, more ...predicate.Event) (*page.Page[*db.Event], error) {
	where, err := filter.Predicates(ctx, client)
	if err != nil {
		return nil, err
	}

	where = append(where, more...)
	order := page.Order[*db.Event]{
		Name: "events", Columns: []string{event.FieldSeq},
		Key: func(e *db.Event) []any { return []any{e.Seq} },
	}

	p, err := order.Load(args, filter, func(restrict func(*entsql.Selector), limit int) ([]*db.Event, error) {
		return client.Event.Query().Where(where...).Where(restrict).Limit(limit).All(ctx)
	})
	if err != nil {
		return nil, store.Classify(err)
	}

	p.Count = func(ctx context.Context) (int, error) { return client.Event.Query().Where(where...).Count(ctx) }

	return p, nil
}
