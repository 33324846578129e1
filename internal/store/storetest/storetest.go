// Package storetest gives tests a migrated database of their own on every
// dialect. A test that cannot have one fails; it is never skipped.
package storetest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shiplog/shiplog/ent/migrations"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
)

// Each runs the test on every dialect, in parallel.
func Each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			test(t, Open(t, dialect))
		})
	}
}

// Open opens a fresh migrated database of the dialect; it ends with the test.
func Open(t testing.TB, dialect string) *store.Store {
	t.Helper()

	return OpenURL(t, URL(t, dialect), nil)
}

// OpenURL opens a database that URL gave, for a second replica or after a
// restart, with a hook that is called for every statement.
func OpenURL(t testing.TB, databaseURL string, statement func(ctx context.Context, query string, took time.Duration, err error)) *store.Store {
	t.Helper()

	s, err := store.Open(t.Context(), store.Config{URL: databaseURL, MaxConns: 10, Statement: statement, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})

	if err := migrate(t.Context(), s); err != nil {
		t.Fatal(err)
	}

	return s
}

func migrate(ctx context.Context, s *store.Store) error {
	if err := s.Migrate(ctx, func(string, ...any) {}); err != nil {
		return err
	}

	return journal.Init(ctx, s)
}

// URL gives the URL of a fresh database of the dialect. It is dropped when the
// test ends.
func URL(t testing.TB, dialect string) string {
	t.Helper()

	if dialect == "sqlite" {
		return "sqlite:" + filepath.Join(t.TempDir(), "shiplog.db")
	}

	template, err := template(t.Context(), server(t))
	if err != nil {
		t.Fatal(err)
	}

	name := "t_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	create(t, name, " TEMPLATE "+template)

	return inDatabase(server(t), name)
}

// server is the URL of the Postgres of the tests.
func server(t testing.TB) string {
	t.Helper()

	url := os.Getenv("SHIPLOG_TEST_POSTGRES")
	if url == "" {
		t.Fatal("SHIPLOG_TEST_POSTGRES is not set: run the tests with make test, or with go run ./test/withpostgres go test …")
	}

	return url
}

// create creates a database that is dropped when the test ends.
func create(t testing.TB, name, options string) {
	t.Helper()

	if err := admin(t.Context(), server(t), "CREATE DATABASE "+name+options); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := admin(context.WithoutCancel(t.Context()), server(t), fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)); err != nil {
			t.Error(err)
		}
	})
}

// template makes, once for these migrations, the database that tests' are
// copied from.
func template(ctx context.Context, server string) (string, error) {
	sum := sha256.New()

	err := fs.WalkDir(migrations.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}

		content, err := fs.ReadFile(migrations.FS, path)
		sum.Write(content)

		return err
	})
	if err != nil {
		return "", err
	}

	name := "template_" + hex.EncodeToString(sum.Sum(nil))[:16]

	pool, err := sql.Open("postgres", server)
	if err != nil {
		return "", err
	}
	defer pool.Close()

	conn, err := pool.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()

	// Packages are tested by processes at the same time: one makes it.
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(7449002)"); err != nil {
		return "", err
	}

	var exists bool
	if err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil || exists {
		return name, err
	}

	building := "building_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if _, err := conn.ExecContext(ctx, "CREATE DATABASE "+building); err != nil {
		return "", err
	}

	s, err := store.Open(ctx, store.Config{URL: inDatabase(server, building), MaxConns: 4, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}

	if err := migrate(ctx, s); err != nil {
		return "", err
	}

	if err := s.Close(); err != nil {
		return "", err
	}

	_, err = conn.ExecContext(ctx, fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", building, name))

	return name, err
}

func admin(ctx context.Context, server, statement string) error {
	pool, err := sql.Open("postgres", server)
	if err != nil {
		return err
	}
	defer pool.Close()

	_, err = pool.ExecContext(ctx, statement)

	return err
}

func inDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}

	u.Path = "/" + name

	return u.String()
}
