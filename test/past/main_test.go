// Package past asks a server where what was at random moments of a long,
// eventful history, and compares with a replay of all its deployments, one by
// one: as it was, and as it was known then. Failed, cancelled, rolled-back,
// undeployed and backfilled deployments are among them, also some that say to
// have finished at the same moment.
//
// The size is that of every day; SHIPLOG_PAST=long (make test-past-long) takes
// 1,000,000 deployments and 200 moments, and prints how long the answers take
// beside those for now. What is random comes from the seed that is printed, and
// SHIPLOG_SEED repeats it.
package past

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/internal/store/storetest"
	"github.com/shiplog/shiplog/server"
	"github.com/shiplog/shiplog/test/bench/dataset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scale is how much is tried.
type scale struct {
	size    dataset.Size
	moments int
	// whole is among how many moments all placements are compared as they were
	// known at two of them; at the others those of a matrix are.
	whole int
	// timed is how often each read is asked for its time; 0 for never.
	timed int
}

func scaleOf() scale {
	if os.Getenv("SHIPLOG_PAST") == "long" {
		return scale{
			size:    dataset.Size{Services: 1_000, Versions: 100, Environments: 20, Deployments: 50, Eventful: true},
			moments: 200, whole: 8, timed: 300,
		}
	}

	return scale{
		size:    dataset.Size{Services: 100, Versions: 40, Environments: 10, Deployments: 20, Eventful: true},
		moments: 20, whole: 2,
	}
}

// random gives the source of everything random in the test.
func random(t *testing.T) *rand.Rand {
	t.Helper()

	seed := uint64(time.Now().UnixNano())

	if given := os.Getenv("SHIPLOG_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal("SHIPLOG_SEED:", err)
		}
	}

	t.Logf("SHIPLOG_SEED=%d", seed)

	return rand.New(rand.NewPCG(seed, 1))
}

// object is a loose JSON object.
type object = map[string]any

// api is a running server.
type api struct {
	t    *testing.T
	url  string
	http *http.Client
}

// serve runs a server on the database until the test ends.
func serve(t *testing.T, database string) *api {
	t.Helper()

	config := server.Config{Listen: "127.0.0.1:0", Database: database, Data: t.TempDir(), Dev: true, Log: t.Output(), Version: "test"}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan string, 1), make(chan error, 1)

	go func() { ended <- server.Run(ctx, config, func(url string) { ready <- url }) }()

	a := &api{t: t, http: &http.Client{Transport: &http.Transport{}}}

	t.Cleanup(func() {
		a.http.CloseIdleConnections()
		stop()

		if err := <-ended; err != nil {
			t.Error("the server ended:", err)
		}
	})

	select {
	case a.url = <-ready:
	case err := <-ended:
		ended <- nil

		t.Fatal("the server did not start:", err)
	}

	return a
}

// ask sends a document that must be answered without an error.
func ask[T any](a *api, document string, variables object) (data T) {
	a.t.Helper()

	body, err := json.Marshal(object{"query": document, "variables": variables})
	if err != nil {
		a.t.Fatal(err)
	}

	request, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}

	request.Header.Set("Content-Type", "application/json")

	response, err := a.http.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()

	var answer struct {
		Data   T
		Errors json.RawMessage
	}

	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Errors != nil {
		a.t.Fatalf("%s with %v: %v\n%s", document, variables, err, answer.Errors)
	}

	return answer.Data
}

// filled makes a database with the history.
func filled(t *testing.T, dialect string, size dataset.Size) string {
	t.Helper()

	database := storetest.URL(t, dialect)
	s := storetest.OpenURL(t, database, nil)
	began := time.Now()

	if err := dataset.Fill(t.Context(), s, size); err != nil {
		t.Fatal(err)
	}

	t.Logf("filled with %s in %s", size, time.Since(began).Round(time.Second/10))

	// A server of its own opens it next; the test's end closes it twice.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	return database
}

// each runs the test on every database, one after the other where times are
// taken.
func each(t *testing.T, timed bool, test func(t *testing.T, dialect string)) {
	t.Helper()

	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) {
			if !timed {
				t.Parallel()
			}

			test(t, dialect)
		})
	}
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func describe(p *time.Time) string {
	if p == nil {
		return "now"
	}

	return at(*p)
}
