//go:build unix

package streams

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shiplog/shiplog/server"
)

// serveAlone is the server of a process of its own; it says its URL on
// standard output. Its arguments are the database, the folder and the time
// between pings.
func serveAlone(args []string) int {
	c, err := configOf(args[0], args[1])
	if err == nil {
		c.PingInterval, err = time.ParseDuration(args[2])
	}

	if err != nil {
		log.Print(err)

		return 1
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	if err := server.Run(ctx, c, func(url string) { fmt.Println(url) }); err != nil {
		log.Print(err)

		return 1
	}

	return 0
}

// alone runs a server in a process of its own until the test ends, so that
// what it needs can be told from what the test needs.
func alone(t testing.TB, c server.Config) *api {
	t.Helper()

	command := exec.Command(c.Program[0], "serve", c.Database, c.Data, c.PingInterval.String())
	command.Stderr = t.Output()
	command.WaitDelay = time.Second // what it deployed may hold its output open

	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := command.Start(); err != nil {
		t.Fatal(err)
	}

	a := &api{t: t, config: c, ended: make(chan error, 1)}
	a.stop = func() {
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error("the server is gone: ", err)
		}
	}

	said := bufio.NewReader(out)
	url, err := said.ReadString('\n')
	a.url = strings.TrimSpace(url)

	go func() { a.ended <- command.Wait() }()

	t.Cleanup(a.end)

	if err != nil {
		t.Fatal("the server did not start: ", err)
	}

	return a
}

// gauges are what a server says of itself.
type gauges struct {
	goroutines, descriptors, streams int
	// heap is what is in use, in bytes.
	heap uint64
}

func (g gauges) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %d streams, %d kB in use", g.goroutines, g.descriptors, g.streams, g.heap>>10)
}

// measure reads the metrics of a server, over a connection of its own.
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

	for _, name := range []string{"go_goroutines", "process_open_fds", "shiplog_streams", "go_memstats_heap_inuse_bytes"} {
		if _, ok := values[name]; !ok {
			a.t.Fatalf("the metrics do not say %s", name)
		}
	}

	return gauges{
		goroutines: int(values["go_goroutines"]), descriptors: int(values["process_open_fds"]),
		streams: int(values["shiplog_streams"]), heap: uint64(values["go_memstats_heap_inuse_bytes"]),
	}
}

// until waits for the condition.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()

	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()

	for deadline := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("in vain: ", what)
		}
	}
}
