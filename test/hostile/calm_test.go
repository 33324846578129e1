//go:build unix

package hostile

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// gauges are what the server says of itself.
type gauges struct {
	goroutines, descriptors, streams int
	// allocated is all that it ever allocated, heap what is in use, resident
	// what the system gave it, in bytes.
	allocated, heap, resident uint64
	// pooled is how many of the descriptors are the database's.
	pooled int
	// worked is the processor's time that it ever took.
	worked time.Duration
}

func (g gauges) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors of which %d to the database, %d streams, heap %d kB, resident %d kB",
		g.goroutines, g.descriptors, g.pooled, g.streams, g.heap>>10, g.resident>>10)
}

// measure reads the metrics, over a connection of its own.
func (a *api) measure() gauges {
	a.t.Helper()

	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()

	request, err := http.NewRequestWithContext(context.WithoutCancel(a.t.Context()), http.MethodGet, a.url+"/metrics", nil)
	if err != nil {
		a.t.Fatal(err)
	}

	response, err := transport.RoundTrip(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()

	values := map[string]float64{}

	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if name, number, ok := strings.Cut(lines.Text(), " "); ok {
			if v, err := strconv.ParseFloat(number, 64); err == nil {
				values[name] = v
			}
		}
	}

	if err := lines.Err(); err != nil {
		a.t.Fatal(err)
	}

	for _, name := range []string{
		"go_goroutines", "process_open_fds", "shiplog_streams", "go_memstats_alloc_bytes_total", "go_memstats_heap_inuse_bytes", "process_resident_memory_bytes",
		"process_cpu_seconds_total",
	} {
		if _, ok := values[name]; !ok {
			a.t.Fatalf("the metrics do not say %s", name)
		}
	}

	return gauges{
		goroutines: int(values["go_goroutines"]), descriptors: int(values["process_open_fds"]), streams: int(values["shiplog_streams"]),
		allocated: uint64(values["go_memstats_alloc_bytes_total"]), heap: uint64(values["go_memstats_heap_inuse_bytes"]),
		resident: uint64(values["process_resident_memory_bytes"]), pooled: a.pooled(),
		worked: time.Duration(values["process_cpu_seconds_total"] * float64(time.Second)),
	}
}

// pooled counts the server's connections to Postgres, or its open files of an
// embedded database: its pool grows when it is needed and stays.
func (a *api) pooled() (n int) {
	path, embedded := strings.CutPrefix(a.database, "sqlite:")
	if !embedded {
		a.number(&n, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)

		return n
	}

	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", a.pid))
	if err != nil {
		a.t.Fatal(err)
	}

	for _, link := range open {
		// One that was closed meanwhile is none.
		if file, err := os.Readlink(link); err == nil && strings.HasPrefix(file, path) {
			n++
		}
	}

	return n
}

// number asks the server's database for one.
func (a *api) number(n *int, query string) {
	a.t.Helper()

	driver, source := "postgres", a.database
	if path, embedded := strings.CutPrefix(a.database, "sqlite:"); embedded {
		driver, source = "sqlite", "file:"+path+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)"
	}

	pool, err := sql.Open(driver, source)
	if err != nil {
		a.t.Fatal(err)
	}
	defer pool.Close()

	if err := pool.QueryRowContext(context.WithoutCancel(a.t.Context()), query).Scan(n); err != nil {
		a.t.Fatal(err)
	}
}

// calm notes how many goroutines, descriptors and streams the server has, and
// at the test's end waits for it to have no more.
func (a *api) calm() {
	a.t.Helper()

	a.client.CloseIdleConnections()

	before := a.settled()

	a.t.Cleanup(func() {
		if a.t.Failed() {
			return
		}

		a.client.CloseIdleConnections()

		var now gauges

		calm := eventually(func() bool {
			now = a.measure()

			return now.streams == 0 && now.goroutines <= before.goroutines && now.descriptors-now.pooled <= before.descriptors-before.pooled
		})
		if a.t.Logf("before: %v; after: %v", before, now); !calm {
			a.t.Error("the server does not come back to what it was")
		}
	})
}

const (
	// settling is longer than the job engine takes from beginning one part of
	// its housekeeping to the next: a random time up to a second.
	settling = 1200 * time.Millisecond
	// alike is how many such times in a row nothing may begin: a busy machine
	// lets a part begin late.
	alike = 4
)

// settled waits until nothing begins any more, and gives the fewest there are:
// the server's own pollers come and go.
func (a *api) settled() gauges {
	a.t.Helper()

	if !eventually(func() bool {
		var leaders int

		a.number(&leaders, `SELECT count(*) FROM river_leader`)

		return leaders == 1
	}) {
		a.t.Fatal("the job engine never leads")
	}

	last := a.fewest()
	for same := 1; same < alike; same++ {
		now := a.fewest()
		if now.goroutines != last.goroutines {
			same = 0
		}

		last = now
	}

	return last
}

// fewest gives the fewest goroutines for a while.
func (a *api) fewest() gauges {
	a.t.Helper()

	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()

	fewest := a.measure()
	for end := time.Now().Add(settling); time.Now().Before(end); <-tick.C {
		if now := a.measure(); now.goroutines < fewest.goroutines {
			fewest = now
		}
	}

	return fewest
}
