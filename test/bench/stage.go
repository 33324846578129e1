package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/shiplog/shiplog/test/bench/dataset"
)

// stage is one kind of database with what was measured on it.
type stage struct {
	*options

	// database is sqlite or postgres, title says more.
	database, title string
	rows            []row

	// admin is the server of throwaway databases, and postmaster its process,
	// for Postgres.
	admin      *sql.DB
	adminURL   string
	postmaster int

	// section is what is being measured.
	section string

	made   []string
	bySize map[int]string
	count  int
}

func newStage(ctx context.Context, o *options, database string) (*stage, error) {
	s := &stage{options: o, database: database, title: database, bySize: map[int]string{}}

	switch database {
	case "sqlite":
		return s, nil
	case "postgres":
	default:
		return nil, fmt.Errorf("-databases: want sqlite or postgres, not %q", database)
	}

	if s.adminURL = os.Getenv("SHIPLOG_TEST_POSTGRES"); s.adminURL == "" {
		return nil, errors.New("SHIPLOG_TEST_POSTGRES is not set: run make bench, or go run ./test/withpostgres -durable …")
	}

	var err error
	if s.admin, err = sql.Open("postgres", s.adminURL); err != nil {
		return nil, err
	}

	var version, fsync, commit string

	err = s.admin.QueryRowContext(ctx, "SELECT split_part(version(), ' ', 2), current_setting('fsync'), current_setting('synchronous_commit')").Scan(&version, &fsync, &commit)
	if err == nil {
		s.postmaster, err = postmaster(ctx, s.adminURL)
	}

	if err != nil {
		return nil, errors.Join(err, s.admin.Close())
	}

	s.title = fmt.Sprintf("postgres %s, fsync %s, synchronous_commit %s", version, fsync, commit)

	return s, nil
}

// close drops what was made.
func (s *stage) close(ctx context.Context) error {
	if s.admin == nil {
		return nil
	}

	var errs []error

	for _, name := range s.made {
		_, err := s.admin.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)")
		errs = append(errs, err)
	}

	return errors.Join(append(errs, s.admin.Close())...)
}

func (s *stage) add(r row) {
	r.database = s.database
	s.rows = append(s.rows, r)

	progress("%s: %s: %s %s", s.database, r.what, r.figures, r.verdict())
}

// empty makes a database that is not migrated yet and gives its URL.
func (s *stage) empty(ctx context.Context) (string, error) {
	s.count++

	if s.admin == nil {
		return "sqlite:" + filepath.Join(s.dir, fmt.Sprintf("bench-%d.db", s.count)), nil
	}

	name := fmt.Sprintf("bench_%d_%d", os.Getpid(), s.count)
	if _, err := s.admin.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}

	s.made = append(s.made, name)

	u, err := url.Parse(s.adminURL)
	if err != nil {
		return "", err
	}

	u.Path = "/" + name

	return u.String(), nil
}

// history gives a database with about so many deployments; the same one each
// time.
func (s *stage) history(ctx context.Context, deployments int) (string, dataset.Size, error) {
	size := dataset.Of(deployments)
	if made, ok := s.bySize[deployments]; ok {
		return made, size, nil
	}

	database, err := s.empty(ctx)
	if err != nil {
		return "", size, err
	}

	began := time.Now()
	if err := filled(ctx, database, size); err != nil {
		return "", size, err
	}

	progress("%s: filled with %s in %s", s.database, size, time.Since(began).Round(time.Second/10))

	s.bySize[deployments] = database

	return database, size, nil
}

// serve starts the product on the database; dev lets it deploy processes,
// which end with it.
func (s *stage) serve(ctx context.Context, database string, dev bool) (*program, error) {
	s.count++

	args := []string{"serve", "--listen", "127.0.0.1:0", "--database", database, "--data", filepath.Join(s.dir, fmt.Sprintf("%s-data-%d", s.database, s.count))}
	if dev {
		args = append(args, "--dev", "--stop-processes")
	}

	return s.program.start(ctx, fmt.Sprintf("%s-%s-%d", s.database, s.section, s.count), args...)
}

// rest waits until what the start began is done.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
