package share

import (
	"context"
	"io"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/contract"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/server/transport"
)

const (
	operation = "Subscription.deploymentLogs"
	// pullBytes bounds what a viewer takes at once beyond its first part: it
	// keeps that alive until it is written.
	pullBytes = 64 << 10
	// DefaultCacheBytes holds some 100,000 lines with all their fields.
	DefaultCacheBytes = 32 << 20
)

// Follower opens readers of logs with the arguments of the subscription.
type Follower interface {
	FollowLog(ctx context.Context, ref string, after *string, follow *bool, until *contract.LogUntil, filter *logs.Filter) (*logs.Reader, string, error)
}

// Logs shares the logs of deployments.
type Logs struct {
	follower Follower
	cache    *cache
}

var _ transport.Sharer = (*Logs)(nil)

// New makes a sharer whose encodings take at most cacheBytes.
func New(follower Follower, cacheBytes int) *Logs {
	return &Logs{follower: follower, cache: newCache(cacheBytes)}
}

// Share takes a subscription to a log over. It declines what is not covered,
// and what is refused.
func (l *Logs) Share(ctx context.Context, oc *graphql.OperationContext) (transport.Shared, bool) {
	fields := graphql.CollectFields(oc, oc.Operation.SelectionSet, []string{"Subscription"})
	if len(fields) != 1 || fields[0].Name != "deploymentLogs" || len(oc.Operation.Directives) > 0 {
		return nil, false
	}

	plan, ok := compile(oc, fields[0])
	if !ok {
		return nil, false
	}

	args, ok := read(fields[0].ArgumentMap(oc.Variables))
	if !ok || access.Authorize(ctx, operation) != nil {
		return nil, false
	}

	reader, deployment, err := l.follower.FollowLog(ctx, args.deployment, args.after, args.follow, args.until, args.filter)
	if err != nil {
		return nil, false
	}

	return &viewer{
		cache: l.cache, reader: reader, cursors: logs.CursorsOf(deployment), plan: plan,
		key: plan.key + args.filterKey(), alias: fields[0].Alias,
	}, true
}

// viewer is one viewer's part. See [transport.Shared].
type viewer struct {
	cache   *cache
	reader  *logs.Reader
	cursors logs.Cursors
	plan    *plan
	// key is what viewers must have in common beside the segment.
	key, alias string
	// ids are the cursors after what NextBatch last gave.
	ids  []int64
	over bool
}

var _ transport.Identified = (*viewer)(nil)

// Close ends the viewer's reader.
func (v *viewer) Close() { v.reader.Close() }

// NextBatch waits for a part, and takes more that is there already.
func (v *viewer) NextBatch(ctx context.Context, buf [][]byte) ([][]byte, error) {
	v.ids = v.ids[:0]

	if v.over {
		return buf, io.EOF
	}

	part, err := v.reader.Next(ctx)
	if err != nil {
		return buf, v.failed(err)
	}

	for size := 0; ; {
		payload := v.payload(&part)
		buf, v.ids = append(buf, payload), append(v.ids, part.Cursor)

		if v.over = part.Complete; v.over {
			return buf, io.EOF
		}

		if size += len(payload); size > pullBytes || len(buf) == cap(buf) {
			return buf, nil
		}

		var ready bool
		if part, ready, err = v.reader.Ready(ctx); err != nil {
			return buf, v.failed(err)
		} else if !ready {
			return buf, nil
		}
	}
}

// AppendEventIDs gives the cursors after what NextBatch last gave.
func (v *viewer) AppendEventIDs(ids []string) []string {
	for _, seq := range v.ids {
		ids = append(ids, v.cursors.Encode(seq))
	}

	return ids
}

func (v *viewer) payload(part *logs.Part) []byte {
	if part.Shared == nil {
		return v.plan.encode(v.cursors, part)
	}

	return v.cache.get(part.Shared, v.key, func() []byte { return v.plan.encode(v.cursors, part) })
}

// failed puts the error where the executor would say that it happened.
func (v *viewer) failed(err error) error {
	if fault.CodeOf(err) == fault.Internal {
		err = fault.Wrap(err, fault.Internal, "internal error")
	}

	return &gqlerror.Error{Err: err, Message: err.Error(), Path: ast.Path{ast.PathName(v.alias)}}
}

// filterKey tells filters apart.
func (a *arguments) filterKey() string {
	if a.filter == nil || a.filter.Empty() {
		return ""
	}

	var key strings.Builder

	for _, stream := range a.filter.Streams {
		key.WriteString(string(stream) + ",")
	}

	// NUL ends a word: one inside would make two filters look the same.
	for _, word := range []string{string(a.filter.Phase), a.filter.Container, a.filter.Instance, a.filter.Contains} {
		key.WriteString("\x00" + strings.ReplaceAll(word, "\x00", "\x00\x00\x01"))
	}

	return key.String()
}
