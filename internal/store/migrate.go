package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"entgo.io/ent/dialect"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/shiplog/shiplog/ent/migrations"
)

// Migrate brings the database to this program's version: its own tables, then
// the job engine's. Two migrators at once are one after the other; a killed
// one is continued by the next. It reports each step through progress.
func (s *Store) Migrate(ctx context.Context, progress func(format string, args ...any)) error {
	pool, done, err := s.migrationPool()
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer done()

	gooseDialect, folder, options := goose.DialectSQLite3, "sqlite", []goose.ProviderOption{goose.WithLogger(goose.NopLogger())}

	if s.dialect == dialect.Postgres {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}

		gooseDialect, folder = goose.DialectPostgres, "postgres"
		options = append(options, goose.WithSessionLocker(locker))
	}

	files, err := fs.Sub(migrations.FS, folder)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}

	provider, err := goose.NewProvider(gooseDialect, pool, files, options...)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}

	results, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}

	for _, r := range results {
		progress("migrated %s in %s", r.Source.Path, r.Duration)
	}

	return s.migrateJobs(ctx, pool, progress)
}

// migrationPool gives the connections for migrations. On Postgres they are
// their own: a change of a large table takes longer than any other statement,
// and waits for its turn as long as another migrator needs.
func (s *Store) migrationPool() (pool *sql.DB, done func(), err error) {
	if s.Embedded() {
		return s.writer, func() {}, nil
	}

	connector, err := pq.NewConnector(s.dsn)
	if err != nil {
		return nil, nil, err
	}

	pool = sql.OpenDB(connector)

	// What was migrated is committed: closing can lose nothing.
	return pool, func() { _ = pool.Close() }, nil
}

func (s *Store) migrateJobs(ctx context.Context, pool *sql.DB, progress func(format string, args ...any)) error {
	migrator, err := rivermigrate.New(s.jobDriver(pool), &rivermigrate.Config{Logger: s.log})
	if err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}

	// The job engine's migrations take no lock of their own. On Postgres the
	// advisory lock of a session that does nothing else stands in for one.
	if s.dialect == dialect.Postgres {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return fmt.Errorf("migrate jobs: %w", err)
		}
		defer conn.Close()

		if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(7449001)"); err != nil {
			return fmt.Errorf("migrate jobs: %w", err)
		}

		defer func() {
			// Closing the session frees the lock too.
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(7449001)")
		}()
	}

	result, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}

	for _, v := range result.Versions {
		progress("migrated the job engine's tables to version %d in %s", v.Version, v.Duration)
	}

	return nil
}

// JobDriver is the job engine's driver on this database.
func (s *Store) JobDriver() riverdriver.Driver[*sql.Tx] { return s.jobDriver(s.writer) }

func (s *Store) jobDriver(pool *sql.DB) riverdriver.Driver[*sql.Tx] {
	if s.Embedded() {
		return riversqlite.New(pool)
	}

	return riverdatabasesql.New(pool)
}
