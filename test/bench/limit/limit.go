// Package limit answers the portal's queries with hand-written SQL and
// hand-written JSON on the same tables as the server, and does nothing else:
// what a request costs at least.
package limit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	_ "github.com/lib/pq"  // the driver "postgres"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// conns is how many connections there are, as many as the server reads with.
const conns = 10

// The statements; $1, $2, … are understood by both databases.
const (
	where = `SELECT e.name, t.connection, d.became_current_at, d.actor_display FROM services s
		JOIN versions v ON v.service_id = s.id AND v.name = $2 JOIN placements p ON p.recorded_version_id = v.id
		JOIN deployments d ON d.id = p.recorded_id JOIN environments e ON e.id = p.environment_id JOIN targets t ON t.id = e.target_id
		WHERE s.name = $1 AND s.archived_at IS NULL ORDER BY e.rank, p.id`
	columns = `SELECT id, name FROM environments WHERE archived_at IS NULL ORDER BY rank, name, id LIMIT 101`
	matrix  = `SELECT s.id, s.name, p.environment_id, v.name, d.became_current_at FROM (
		SELECT id, name FROM services WHERE owner = $1 AND archived_at IS NULL ORDER BY name, id LIMIT 50) s
		JOIN placements p ON p.service_id = s.id JOIN deployments d ON d.id = p.recorded_id JOIN versions v ON v.id = p.recorded_version_id
		ORDER BY s.name, s.id`
	deployed = `SELECT e.name, e.rank, d.actor_display, d.status, d.occurred_at FROM services s
		JOIN versions v ON v.service_id = s.id AND v.name = $2 JOIN deployments d ON d.version_id = v.id JOIN environments e ON e.id = d.environment_id
		WHERE s.name = $1 AND s.archived_at IS NULL ORDER BY e.rank, e.name, e.id, d.occurred_at, d.id`
	checked = `SELECT e.name, e.rank, c.name, c.result, c.created_at FROM services s
		JOIN versions v ON v.service_id = s.id AND v.name = $2 JOIN checks c ON c.version_id = v.id JOIN environments e ON e.id = c.environment_id
		WHERE s.name = $1 AND s.archived_at IS NULL ORDER BY e.rank, e.name, e.id, c.created_at, c.id`
	list = `SELECT d.id, v.name, e.name, d.actor_display, d.status, d.occurred_at FROM (
		SELECT x.* FROM deployments x WHERE x.service_id = (SELECT id FROM services WHERE name = $1 AND archived_at IS NULL)
			AND (x.occurred_at, x.id) < ($2, $3) ORDER BY x.occurred_at DESC, x.id DESC LIMIT 51) d
		JOIN versions v ON v.id = d.version_id JOIN environments e ON e.id = d.environment_id ORDER BY d.occurred_at DESC, d.id DESC`
)

// Request is what a caller sends; what else it sends is ignored.
type Request struct {
	Variables struct {
		// Service and version, owner of the matrix, and the place after which
		// the list goes on: time, slash, id.
		S, V, O, A string
	} `json:"variables"`
}

// Handler answers POST /q1 … /q4.
type Handler struct {
	pool                                            *sql.DB
	mux                                             *http.ServeMux
	where, columns, matrix, deployed, checked, list *sql.Stmt
}

// New opens the database: sqlite:PATH or postgres://….
func New(ctx context.Context, url string) (*Handler, error) {
	driver, source := "postgres", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver = "sqlite"
		source = "file:" + path + "?_pragma=query_only(1)&_pragma=busy_timeout(10000)&_time_format=sqlite&_timezone=UTC&_pragma=cache_size(-16000)"
	}

	pool, err := sql.Open(driver, source)
	if err != nil {
		return nil, err
	}

	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)

	h := &Handler{pool: pool, mux: http.NewServeMux()}

	for text, statement := range map[string]**sql.Stmt{
		where: &h.where, columns: &h.columns, matrix: &h.matrix, deployed: &h.deployed, checked: &h.checked, list: &h.list,
	} {
		if *statement, err = pool.PrepareContext(ctx, text); err != nil {
			return nil, errors.Join(err, pool.Close())
		}
	}

	for path, answer := range map[string]func(ctx context.Context, r *Request) ([]byte, error){
		"/q1": h.q1, "/q2": h.q2, "/q3": h.q3, "/q4": h.q4,
	} {
		h.mux.HandleFunc(path, func(w http.ResponseWriter, hr *http.Request) {
			var r Request
			if err := json.NewDecoder(hr.Body).Decode(&r); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)

				return
			}

			body, err := answer(hr.Context(), &r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)

				return
			}

			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))

			// The caller may be gone; there is nobody else to tell.
			_, _ = w.Write(body)
		})
	}

	return h, nil
}

// ServeHTTP answers.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Close closes the database.
func (h *Handler) Close() error { return h.pool.Close() }

func each(ctx context.Context, statement *sql.Stmt, args []any, scan func(rows *sql.Rows) error) error {
	rows, err := statement.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()

	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}

	return rows.Err()
}

// text appends "key":"value".
func text(b []byte, key, value string) []byte {
	b = append(b, '"')
	b = append(b, key...)
	b = append(b, '"', ':')

	return strconv.AppendQuote(b, value)
}

// moment appends "key":"time".
func moment(b []byte, key string, t time.Time) []byte {
	b = append(b, '"')
	b = append(b, key...)
	b = append(b, '"', ':', '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)

	return append(b, '"')
}
