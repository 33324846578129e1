package main

import (
	"context"
	"database/sql"
	"strings"

	_ "github.com/lib/pq" // the driver "postgres"
)

// postmaster is the process that started the server of the URL, when it runs
// on this machine; 0 for SQLite and elsewhere.
func postmaster(ctx context.Context, url string) (int, error) {
	if strings.HasPrefix(url, "sqlite:") {
		return 0, nil
	}

	pool, err := sql.Open("postgres", url)
	if err != nil {
		return 0, err
	}
	defer pool.Close()

	var pid int
	if err := pool.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return 0, err
	}

	return parent(pid), nil
}
