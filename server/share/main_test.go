package share_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/deployer/external"
	"github.com/shiplog/shiplog/graph"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
	"github.com/shiplog/shiplog/resolvers"
	"github.com/shiplog/shiplog/server/share"
	"github.com/shiplog/shiplog/server/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// silent is a deployment's log that nobody writes to but the test.
type silent struct{}

func (silent) Step(context.Context, *store.Tx, string, string, ...string) error { return nil }

func (silent) Close(context.Context, *store.Tx, string) error { return nil }

func (silent) Compact(context.Context, string) error { return nil }

// bench is a schema with both ways to execute its subscriptions.
type bench struct {
	t        testing.TB
	store    *store.Store
	logs     *logs.Logs
	executor *transport.Executor
	// pages writes the pages of logs itself.
	pages *transport.Executor
	// written counts the lists that it wrote.
	written atomic.Int64
	sharer  *share.Logs
}

func newBench(t testing.TB, cacheBytes int) *bench {
	t.Helper()

	b := &bench{t: t, store: storetest.Open(t, "sqlite")}
	log := slog.New(slog.DiscardHandler)
	hub := live.New(b.store, log)

	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))

	var background sync.WaitGroup

	background.Go(func() { hub.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		background.Wait()
	})

	var err error
	if b.logs, err = logs.New(b.store, hub, logs.Config{Logger: log}); err != nil {
		t.Fatal(err)
	}

	engine, err := deployment.New(deployment.Config{
		Store: b.store, Leases: store.NewLeases(b.store, "test"), Log: silent{}, Logger: log,
		Deployers: map[spec.TargetKind]deployer.Deployer{spec.TargetExternal: external.New()},
	})
	if err != nil {
		t.Fatal(err)
	}

	resolver := &resolvers.Resolver{
		Store: b.store, Catalog: catalog.New(b.store, engine), Engine: engine, Logs: b.logs, Hub: hub, LastEventID: transport.LastEventID,
	}

	config := transport.DefaultExecutorConfig()
	config.Report = func(_ context.Context, _ string, err error) { t.Log("reported:", err) }
	config.Extensions = []graphql.HandlerExtension{resolvers.Loading{Resolver: resolver}, resolvers.Endings{}}

	if b.executor, err = transport.NewExecutor(graph.NewExecutableSchema(graph.Config{Resolvers: resolver}), config); err != nil {
		t.Fatal(err)
	}

	config.Extensions = append(config.Extensions, counted{written: &b.written})
	if b.pages, err = transport.NewExecutor(graph.NewExecutableSchema(graph.Config{Resolvers: resolver}), config); err != nil {
		t.Fatal(err)
	}

	b.sharer = share.New(resolver, cacheBytes)

	return b
}

// counted counts what Pages writes itself.
type counted struct {
	share.Pages

	written *atomic.Int64
}

func (c counted) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	res, err := c.Pages.InterceptField(ctx, next)
	if _, ok := res.(graphql.Marshaler); ok {
		c.written.Add(1)
	}

	return res, err
}

func (b *bench) ctx() context.Context { return access.With(b.t.Context(), access.LocalAdmin()) }

// operation reads a document.
func (b *bench) operation(ctx context.Context, document string, variables map[string]any) (context.Context, *graphql.OperationContext, gqlerror.List) {
	return operation(ctx, b.executor, document, variables)
}

func operation(
	ctx context.Context, executor *transport.Executor, document string, variables map[string]any,
) (context.Context, *graphql.OperationContext, gqlerror.List) {
	ctx = graphql.StartOperationTrace(ctx)
	oc, errs := executor.CreateOperationContext(ctx, &graphql.RawParams{Query: document, Variables: variables})

	return graphql.WithOperationContext(ctx, oc), oc, errs
}

// deployment records a deployment and gives its id.
func (b *bench) deployment(name string) string {
	b.t.Helper()

	response := b.execute(`mutation ($name: String!, $ref: ID!) {
		createEnvironment(input: {name: $name, tier: TESTING, rank: 1, target: {kind: EXTERNAL}}) { environment { id } }
		recordDeployment(input: {service: $ref, environment: $ref, version: "1", createMissing: true}) { deployment { id } }
	}`, map[string]any{"name": name, "ref": name})

	var data struct {
		RecordDeployment struct{ Deployment struct{ ID string } }
	}
	if err := json.Unmarshal(response.Data, &data); err != nil {
		b.t.Fatal(err)
	}

	return data.RecordDeployment.Deployment.ID
}

func (b *bench) execute(document string, variables map[string]any) *graphql.Response {
	b.t.Helper()

	ctx, oc, errs := b.operation(b.ctx(), document, variables)
	if errs != nil {
		b.t.Fatal(errs)
	}

	handler, ctx := b.executor.DispatchOperation(ctx, oc)

	response := handler(ctx)
	if response.Errors != nil {
		b.t.Fatal(response.Errors)
	}

	return response
}

func (b *bench) append(deployment string, lines ...logs.Line) {
	b.t.Helper()

	if _, err := b.logs.Append(b.t.Context(), deployment, logs.Batch{Lines: lines}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) close(deployment string) {
	b.t.Helper()

	err := b.store.WithTx(b.t.Context(), func(ctx context.Context, tx *store.Tx) error { return b.logs.Close(ctx, tx, deployment) })
	if err != nil {
		b.t.Fatal(err)
	}
}

// executed gives what the executor answers, until the end or the number of
// results.
func (b *bench) executed(ctx context.Context, document string, variables map[string]any, most int) (payloads []string, errs gqlerror.List) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	ctx, oc, errs := b.operation(ctx, document, variables)
	if errs != nil {
		return nil, errs
	}

	handler, ctx := b.executor.DispatchOperation(ctx, oc)

	for len(payloads) < most {
		response := handler(ctx)
		if response == nil {
			break
		}

		if response.Data == nil {
			return payloads, response.Errors
		}

		payload, err := transport.AppendResponse(nil, response)
		if err != nil {
			b.t.Fatal(err)
		}

		payloads = append(payloads, string(payload))
	}

	if ctx.Err() != nil {
		b.t.Fatal("the executor gave no end of", document)
	}

	return payloads, nil
}

// shared gives the same of the sharer; covered is false when it declines.
func (b *bench) shared(ctx context.Context, document string, variables map[string]any, most int) (payloads, ids []string, covered bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	ctx, oc, errs := b.operation(ctx, document, variables)
	if errs != nil {
		b.t.Fatal(errs)
	}

	viewer, covered := b.sharer.Share(ctx, oc)
	if !covered {
		return nil, nil, false
	}
	defer viewer.Close()

	for len(payloads) < most {
		batch, err := viewer.NextBatch(ctx, make([][]byte, 0, 4))
		for _, payload := range batch {
			payloads = append(payloads, string(payload))
		}

		ids = viewer.(transport.Identified).AppendEventIDs(ids)

		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			b.t.Fatal(fault.CodeOf(err), err)
		}
	}

	return payloads, ids, true
}

// asList is the error as a transport hands it to the executor.
func asList(err error) gqlerror.List {
	if shown, ok := errors.AsType[*gqlerror.Error](err); ok {
		return gqlerror.List{shown}
	}

	return gqlerror.List{gqlerror.Wrap(err)}
}
