// Command write makes the next migration of both databases out of the
// difference between ent/schema and the migrations so far:
//
//	SHIPLOG_DEV_POSTGRES=postgres://… go run ./ent/migrations/write NAME
//
// The Postgres database must be an empty one that may be written to. After a
// migration was edited, which it may be until it is released,
//
//	go run ./ent/migrations/write -sum
//
// brings the checksums up to date.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"text/template"
	"time"

	atlas "ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/sqltool"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql/schema"
	_ "github.com/lib/pq" // the Postgres dev database
	sqlite "modernc.org/sqlite"

	"github.com/shiplog/shiplog/ent/db/migrate"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// folders hold the migrations, by dialect.
const folders = "ent/migrations/"

func run() error {
	if len(os.Args) == 2 && os.Args[1] == "-sum" {
		return errors.Join(sum(folders+dialect.Postgres), sum(folders+"sqlite"))
	}

	// Forward only: goose's form without the way down.
	formatter, err := atlas.NewTemplateFormatter(
		template.Must(template.New("name").Funcs(template.FuncMap{"now": func() string { return time.Now().UTC().Format("20060102150405") }}).
			Parse("{{now}}_{{.Name}}.sql")),
		template.Must(template.New("content").
			Parse("-- +goose Up\n{{range .Changes}}{{with .Comment}}-- {{.}}\n{{end}}{{.Cmd}};\n{{end}}")),
	)
	if err != nil {
		return fmt.Errorf("form of a migration: %w", err)
	}

	url := os.Getenv("SHIPLOG_DEV_POSTGRES")
	if len(os.Args) != 2 || url == "" {
		return fmt.Errorf("usage: SHIPLOG_DEV_POSTGRES=postgres://… %s NAME", os.Args[0])
	}

	sql.Register("sqlite3", &sqlite.Driver{})

	for _, d := range []struct{ dialect, folder, url string }{
		{dialect.Postgres, folders + dialect.Postgres, url},
		{dialect.SQLite, folders + "sqlite", "sqlite://file?mode=memory&_pragma=foreign_keys(1)"},
	} {
		dir, err := sqltool.NewGooseDir(d.folder)
		if err != nil {
			return fmt.Errorf("open %s: %w", d.folder, err)
		}

		err = migrate.NamedDiff(context.Background(), d.url, os.Args[1],
			schema.WithDir(dir),
			schema.WithMigrationMode(schema.ModeReplay),
			schema.WithDialect(d.dialect),
			schema.WithFormatter(formatter),
			schema.WithForeignKeys(true),
		)
		if err != nil {
			return fmt.Errorf("write the %s migration: %w", d.dialect, err)
		}
	}

	return nil
}

// sum writes the checksums of a folder's migrations anew.
func sum(folder string) error {
	dir, err := sqltool.NewGooseDir(folder)
	if err != nil {
		return fmt.Errorf("open %s: %w", folder, err)
	}

	hash, err := dir.Checksum()
	if err != nil {
		return fmt.Errorf("sum up %s: %w", folder, err)
	}

	return atlas.WriteSumFile(dir, hash)
}
