package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"entgo.io/ent/dialect"
	"github.com/gofrs/flock"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// readers is how many connections read beside the one that writes: two cores,
// and some that wait for a page of the file.
const readers = 4

func (s *Store) openSQLite(ctx context.Context, path string) error {
	path = strings.TrimPrefix(path, "//")
	if path == "" || strings.ContainsAny(path, "?#%") {
		return fmt.Errorf("sqlite:%s is not a path", path)
	}

	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of %s: %w", path, err)
	}

	s.dialect = dialect.SQLite

	// One process only: leases and the tail of the log are in its memory.
	lock := flock.New(path + ".lock")

	locked, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}

	if !locked {
		return fmt.Errorf("%s is in use by another process", path)
	}

	s.lock = lock

	const common = "?_pragma=foreign_keys(1)&_pragma=busy_timeout(10000)&_time_format=sqlite&_timezone=UTC&_pragma=cache_size(-16000)"

	// FULL: an acknowledged commit survives a power loss.
	s.writer, err = sql.Open("sqlite", "file:"+path+common+"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}

	s.writer.SetMaxOpenConns(1)

	if err := check(ctx, s.writer, path); err != nil {
		return err
	}

	s.reader, err = sql.Open("sqlite", "file:"+path+common+"&_pragma=query_only(1)")
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}

	s.reader.SetMaxOpenConns(readers)
	s.reader.SetMaxIdleConns(readers)

	return nil
}

// check reads the whole structure of the file once, so that a damaged one is
// refused at the start and not in the middle of a deployment.
func check(ctx context.Context, writer *sql.DB, path string) error {
	var answer string
	if err := writer.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&answer); err != nil {
		return fmt.Errorf("%s is not a usable SQLite database: %w", path, err)
	}

	if answer != "ok" {
		return errors.New(path + " is damaged (" + answer + "): restore it from a backup")
	}

	return nil
}
