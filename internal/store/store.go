package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"entgo.io/ent/dialect"
	"github.com/gofrs/flock"

	"github.com/shiplog/shiplog/ent/db"
)

// Config says which database to open.
type Config struct {
	// URL is sqlite:PATH or postgres://….
	URL string
	// MaxConns bounds the Postgres pool; 30 when zero: enough for two cores'
	// worth of requests, jobs and observers, and three replicas fit into
	// Postgres' default of 100.
	MaxConns int
	// Statement, when set, is called after every statement: for metrics and
	// for counting in tests.
	Statement func(ctx context.Context, query string, took time.Duration, err error)
	// Logger for reconnects and retries; slog.Default when nil.
	Logger *slog.Logger
}

// Store is an open database.
type Store struct {
	// Read is for queries outside a transaction; it refuses writes.
	Read *db.Client

	dialect string
	dsn     string
	conns   int // of the Postgres pool, at most
	writer  *sql.DB
	reader  *sql.DB
	lock    *flock.Flock // SQLite: this process owns the file
	log     *slog.Logger
	observe func(ctx context.Context, query string, took time.Duration, err error)

	wakeMu sync.RWMutex
	wake   []func(topics []string)
}

// Open opens the database; it is not migrated yet. Errors name what is wrong
// with the URL or with the file.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{log: cfg.Logger, observe: cfg.Statement}
	if s.log == nil {
		s.log = slog.Default()
	}

	if cfg.MaxConns == 0 {
		cfg.MaxConns = 30
	}

	var err error

	switch {
	case strings.HasPrefix(cfg.URL, "sqlite:"):
		err = s.openSQLite(ctx, strings.TrimPrefix(cfg.URL, "sqlite:"))
	case strings.HasPrefix(cfg.URL, "postgres://"), strings.HasPrefix(cfg.URL, "postgresql://"):
		err = s.openPostgres(cfg)
	default:
		err = errors.New("want sqlite:PATH or postgres://USER@HOST/DATABASE")
	}

	if err != nil {
		return nil, errors.Join(fmt.Errorf("database: %w", err), s.Close())
	}

	s.Read = db.NewClient(db.Driver(&readDriver{conn: s.conn(newStatements(s.reader))}))

	return s, nil
}

// Close closes all connections and gives the file free.
func (s *Store) Close() error {
	var errs []error

	if s.reader != nil && s.reader != s.writer {
		errs = append(errs, s.reader.Close())
	}

	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}

	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}

	return errors.Join(errs...)
}

// Embedded reports whether the database belongs to this process alone.
func (s *Store) Embedded() bool { return s.dialect == dialect.SQLite }

// Dialect is the name of ent's dialect: "postgres" or "sqlite3".
func (s *Store) Dialect() string { return s.dialect }

// Writer is the connection pool that writes, for the job engine.
func (s *Store) Writer() *sql.DB { return s.writer }

// Ping asks the database whether it is there.
func (s *Store) Ping(ctx context.Context) error {
	if _, err := s.reader.ExecContext(ctx, "SELECT 1"); err != nil {
		return Classify(err)
	}

	return nil
}

// OnWake registers a function that is called with the topics of every commit
// of this process. It must not block.
func (s *Store) OnWake(f func(topics []string)) {
	s.wakeMu.Lock()
	defer s.wakeMu.Unlock()

	s.wake = append(s.wake, f)
}

func (s *Store) woke(topics []string) {
	if len(topics) == 0 {
		return
	}

	s.wakeMu.RLock()
	defer s.wakeMu.RUnlock()

	for _, f := range s.wake {
		f(topics)
	}
}

// Now is the current time as the database keeps it: UTC, microseconds.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func (s *Store) openPostgres(cfg Config) error {
	connector, err := newConnector(cfg.URL)
	if err != nil {
		return errors.New("the Postgres URL cannot be read") // the cause may hold the password
	}

	s.dialect, s.dsn, s.conns = dialect.Postgres, cfg.URL, cfg.MaxConns
	s.writer = sql.OpenDB(connector)
	s.writer.SetMaxOpenConns(cfg.MaxConns)
	s.writer.SetMaxIdleConns(cfg.MaxConns)
	s.writer.SetConnMaxIdleTime(5 * time.Minute)
	s.reader = s.writer

	return nil
}
