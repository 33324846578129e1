package storetest

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	_ "github.com/lib/pq" // for the pool below
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // for the pool below

	"github.com/shiplog/shiplog/ent/migrations"
)

// Released gives a database as an earlier release left it: with the migrations
// up to this version, and what fill wrote into it then.
func Released(t testing.TB, dialect string, version int64, fill ...string) (url string) {
	t.Helper()

	driver, dsn, gooseDialect := "sqlite", filepath.Join(t.TempDir(), "shiplog.db"), goose.DialectSQLite3
	url = "sqlite:" + dsn

	if dialect == "postgres" {
		name := "r_" + strings.ReplaceAll(uuid.NewString(), "-", "")
		create(t, name, "")

		url = inDatabase(server(t), name)
		driver, dsn, gooseDialect = "postgres", url, goose.DialectPostgres
	}

	pool, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()

	files, err := fs.Sub(migrations.FS, dialect)
	if err != nil {
		t.Fatal(err)
	}

	provider, err := goose.NewProvider(gooseDialect, pool, files, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}

	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}

	for _, statement := range fill {
		if _, err := pool.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}

	return url
}
