package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/deployer/external"
	"github.com/shiplog/shiplog/deployer/kubernetes"
	"github.com/shiplog/shiplog/deployer/process"
	"github.com/shiplog/shiplog/ent/db/target"
	"github.com/shiplog/shiplog/graph"
	"github.com/shiplog/shiplog/internal/access"
	"github.com/shiplog/shiplog/internal/catalog"
	"github.com/shiplog/shiplog/internal/deployment"
	"github.com/shiplog/shiplog/internal/fault"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/live"
	"github.com/shiplog/shiplog/internal/logs"
	"github.com/shiplog/shiplog/internal/observe"
	"github.com/shiplog/shiplog/internal/registry"
	"github.com/shiplog/shiplog/internal/spec"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/resolvers"
	"github.com/shiplog/shiplog/server/graphiql"
	"github.com/shiplog/shiplog/server/share"
	"github.com/shiplog/shiplog/server/transport"
)

// rooms are all the parts of a server, in the order of their building.
type rooms struct {
	config    Config
	log       *slog.Logger
	metrics   *metrics
	store     *store.Store
	hub       *live.Hub
	logs      *logs.Logs
	leases    *store.Leases
	refusals  *access.Refusals
	processes *process.Deployer // nil without dev
	clusters  *kubernetes.Deployer
	images    *registry.Client
	engine    *deployment.Engine
	catalog   *catalog.Catalog
	observers []*observe.Observer
	transport *transport.Handler
	handlers  handlers
}

// open opens and migrates the database.
func open(ctx context.Context, c Config, log *slog.Logger, m *metrics) (*store.Store, error) {
	statement := m.statement
	if c.Statement != nil {
		statement = func(ctx context.Context, query string, took time.Duration, err error) {
			m.statement(ctx, query, took, err)
			c.Statement(ctx, query, took, err)
		}
	}

	s, err := store.Open(ctx, store.Config{URL: c.Database, Logger: log, Statement: statement})
	if err != nil {
		return nil, err
	}

	err = s.Migrate(ctx, func(format string, args ...any) { log.InfoContext(ctx, fmt.Sprintf(format, args...)) })
	if err == nil {
		err = journal.Init(ctx, s)
	}

	if err != nil {
		return nil, errors.Join(fmt.Errorf("database: %w", err), s.Close())
	}

	return s, nil
}

// build builds everything, in order, by hand.
func build(ctx context.Context, c Config, log *slog.Logger) (_ *rooms, err error) {
	r := &rooms{config: c, log: log, metrics: newMetrics(c.Version)}

	if r.store, err = open(ctx, c, log, r.metrics); err != nil {
		return nil, err
	}

	defer func() {
		if err != nil {
			r.clusters.Close()
			r.images.Close()
			err = errors.Join(err, r.store.Close())
		}
	}()

	r.hub = live.New(r.store, log)
	r.refusals = access.NewRefusals(r.store, log)

	if r.logs, err = logs.New(r.store, r.hub, logs.Config{Logger: log}); err != nil {
		return nil, err
	}

	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name this replica: %w", err)
	}

	r.leases = store.NewLeases(r.store, fmt.Sprintf("%s/%d/%s", host, os.Getpid(), uuid.NewString()))

	// The lock on an embedded database proves that nobody else lives.
	if r.store.Embedded() {
		if err := r.leases.ForgetDead(ctx); err != nil {
			return nil, err
		}
	}

	deployers, err := r.deployers(ctx)
	if err != nil {
		return nil, err
	}

	if r.images, err = registry.New(registry.Config{Plain: r.config.PlainRegistries}); err != nil {
		return nil, err
	}

	r.engine, err = deployment.New(deployment.Config{
		Store: r.store, Leases: r.leases, Deployers: deployers, Registry: r.images, Log: stepLines{r.logs}, Logger: log,
	})
	if err != nil {
		return nil, err
	}

	r.catalog = catalog.New(r.store, r.engine, slices.Sorted(maps.Keys(c.Connections))...)

	return r, r.front()
}

// deployers makes the deployers and their observers.
func (r *rooms) deployers(ctx context.Context) (map[spec.TargetKind]deployer.Deployer, error) {
	all := map[spec.TargetKind]deployer.Deployer{spec.TargetExternal: external.New()}

	if len(r.config.Connections) > 0 {
		if err := r.reach(all); err != nil {
			return nil, err
		}
	}

	if !r.config.Dev {
		return all, nil
	}

	processes, err := process.New(process.Config{Dir: filepath.Join(r.config.Data, "process"), Program: r.config.Program})
	if err != nil {
		return nil, err
	}

	if err := processes.Adopt(ctx); err != nil {
		return nil, fmt.Errorf("adopt running processes: %w", err)
	}

	r.processes = processes
	all[spec.TargetProcess] = processes
	r.observers = append(r.observers, observe.New(r.store, r.hub, r.logs, r.leases, observe.Config{
		Kind: target.KindPROCESS, Target: processes, Runtime: r.config.RuntimeLogs, Logger: r.log,
		Moved: func(ctx context.Context, held *store.Held, id string, endpoints map[string]string) error {
			return r.engine.Moved(ctx, held, id, endpoints) // it is built by the time that anybody observes
		},
	}))

	return all, nil
}

// reach makes the deployer for clusters and its observer.
func (r *rooms) reach(all map[spec.TargetKind]deployer.Deployer) error {
	connections := map[string]kubernetes.Connection{}

	for name, setting := range r.config.Connections {
		connection, err := kubernetes.ParseConnection(setting)
		if err != nil {
			return fmt.Errorf("connection %s: %w", name, err)
		}

		connections[name] = connection
	}

	clusters, err := kubernetes.New(kubernetes.Config{Connections: connections, Logger: r.log})
	if err != nil {
		return err
	}

	r.clusters = clusters
	all[spec.TargetKubernetes] = clusters
	r.observers = append(r.observers, observe.New(r.store, r.hub, r.logs, r.leases, observe.Config{
		Kind: target.KindKUBERNETES, Target: clusters, Runtime: r.config.RuntimeLogs, Logger: r.log, Places: clusters.Look,
	}))

	return nil
}

// front makes what requests meet.
func (r *rooms) front() error {
	resolver := &resolvers.Resolver{Store: r.store, Catalog: r.catalog, Engine: r.engine, Logs: r.logs, Hub: r.hub, LastEventID: transport.LastEventID}

	executorConfig := transport.DefaultExecutorConfig()
	executorConfig.RequestID = requestID
	executorConfig.Report = func(ctx context.Context, id string, err error) {
		log := r.log.With("request", id, "error", err)
		if panicked, ok := errors.AsType[*transport.PanicError](err); ok {
			log = log.With("stack", string(panicked.Stack))
		}

		if fault.Is(err, fault.Unavailable) {
			log.WarnContext(ctx, "a request could not be answered")
		} else {
			log.ErrorContext(ctx, "internal error")
		}
	}
	executorConfig.Extensions = []graphql.HandlerExtension{
		measured{r.metrics}, permissions{r.refusals}, resolvers.Loading{Resolver: resolver}, resolvers.Endings{}, share.Pages{},
	}

	executor, err := transport.NewExecutor(graph.NewExecutableSchema(graph.Config{Resolvers: resolver}), executorConfig)
	if err != nil {
		return err
	}

	who := newIdentity(r.config)
	transportConfig := transport.DefaultConfig()
	transportConfig.Init = who.admit
	transportConfig.CallerKey = callerKey
	transportConfig.PingInterval = r.config.PingInterval
	transportConfig.EventID = share.EventID
	transportConfig.Sharer = share.New(resolver, share.DefaultCacheBytes)

	if r.transport, err = transport.New(executor, transportConfig); err != nil {
		return err
	}

	page, err := graphiql.New(graphiql.DefaultConfig())
	if err != nil {
		return err
	}

	r.metrics.streams(r.transport.Streams)
	r.handlers = handlers{
		graphql: r.transport, graphiql: page, metrics: r.metrics.handler(), identity: who, ping: r.store.Ping, draining: &atomic.Bool{},
	}

	return nil
}
