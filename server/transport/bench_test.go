package transport_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gorilla/websocket"

	"github.com/shiplog/shiplog/server/transport"
	"github.com/shiplog/shiplog/server/transport/testschema"
)

// Viewers run in a process of their own, this test binary started again, so
// that only the server's work is measured.
const (
	viewersEnv  = "TRANSPORT_BENCH_SERVER"
	countEnv    = "TRANSPORT_BENCH_VIEWERS"
	messagesEnv = "TRANSPORT_BENCH_MESSAGES"
	modeEnv     = "TRANSPORT_BENCH_MODE"
	linesEach   = 100
)

// hub yields the same payloads to all viewers, each with its own cursor.
type hub struct {
	mu       sync.Mutex
	payloads [][]byte
	more     chan struct{}
	over     bool
}

func (h *hub) publish(payload []byte, over bool) {
	h.mu.Lock()
	defer h.mu.Unlock()

	if over {
		h.over = true
	} else {
		h.payloads = append(h.payloads, payload)
	}

	close(h.more)
	h.more = make(chan struct{})
}

func (h *hub) Share(context.Context, *graphql.OperationContext) (transport.Shared, bool) {
	return &hubViewer{hub: h}, true
}

type hubViewer struct {
	hub    *hub
	cursor int
}

func (v *hubViewer) Close() {}

func (v *hubViewer) NextBatch(ctx context.Context, buf [][]byte) ([][]byte, error) {
	for {
		v.hub.mu.Lock()
		n := min(len(v.hub.payloads)-v.cursor, cap(buf))
		buf = append(buf, v.hub.payloads[v.cursor:v.cursor+n]...)
		more, over := v.hub.more, v.hub.over
		v.hub.mu.Unlock()

		v.cursor += n

		switch {
		case n > 0:
			return buf, nil
		case over:
			return buf, io.EOF
		}

		select {
		case <-more:
		case <-ctx.Done():
			return buf, ctx.Err()
		}
	}
}

func BenchmarkSharedSubscription(b *testing.B) {
	for _, mode := range []string{"websocket", "sse"} {
		for _, c := range []struct {
			viewers int
			every   time.Duration
		}{{100, 10 * time.Millisecond}, {1_000, 100 * time.Millisecond}} {
			b.Run(fmt.Sprintf("%s/%d", mode, c.viewers), func(b *testing.B) { fanOut(b, mode, c.viewers, c.every) })
		}
	}
}

func fanOut(b *testing.B, mode string, viewers int, every time.Duration) {
	shared := &hub{more: make(chan struct{})}
	server := serve(b, func(_ *transport.ExecutorConfig, c *transport.Config) { c.Sharer = shared })

	lines, err := json.Marshal(map[string]any{"lines": testschema.Lines(0, linesEach)})
	if err != nil {
		b.Fatal(err)
	}

	payload, err := transport.AppendResponse(nil, &graphql.Response{Data: lines})
	if err != nil {
		b.Fatal(err)
	}

	idle := heldMemory()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), viewersEnv+"="+server.URL, countEnv+"="+strconv.Itoa(viewers),
		messagesEnv+"="+strconv.Itoa(b.N), modeEnv+"="+mode)
	child.Stderr = os.Stderr

	out, err := child.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}

	if err := child.Start(); err != nil {
		b.Fatal(err)
	}

	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); err != nil {
		b.Fatal(line, err)
	}

	held := heldMemory() - idle

	b.ResetTimer()

	used := processTime(b)
	tick := time.NewTicker(every)

	for range b.N {
		<-tick.C
		shared.publish(bytes.Clone(payload), false)
	}

	tick.Stop()
	shared.publish(nil, true)

	if line, err := said.ReadString('\n'); err != nil {
		b.Fatal(line, err)
	}

	b.StopTimer()

	delivered := float64(b.N * viewers)
	spent := float64((processTime(b) - used).Nanoseconds())
	b.ReportMetric(spent/delivered/1e3, "cpu-µs/message")
	b.ReportMetric(spent/delivered/linesEach/1e3, "cpu-µs/line")
	b.ReportMetric(float64(held)/float64(viewers)/1e3, "kB/viewer")
	b.ReportMetric(delivered*linesEach/b.Elapsed().Seconds(), "lines/s")

	if err := child.Wait(); err != nil {
		b.Fatal(err)
	}
}

// heldMemory gives the bytes of heap and stacks after a collection.
func heldMemory() int64 {
	var stats runtime.MemStats

	runtime.GC()
	runtime.ReadMemStats(&stats)

	return int64(stats.HeapAlloc + stats.StackInuse)
}

func processTime(b *testing.B) time.Duration {
	b.Helper()

	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}

	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// runViewers is the process of the viewers: it says when all have subscribed
// and when all have everything.
func runViewers(address string) int {
	count, _ := strconv.Atoi(os.Getenv(countEnv))
	messages, _ := strconv.Atoi(os.Getenv(messagesEnv))

	view := viewSocket
	if os.Getenv(modeEnv) == "sse" {
		view = viewEvents
	}

	var ready, done sync.WaitGroup

	failed := make(chan error, count)

	for range count {
		ready.Add(1)
		done.Go(func() {
			if err := view(address, messages, ready.Done); err != nil {
				failed <- err
			}
		})
	}

	ready.Wait()
	fmt.Println("ready")
	done.Wait()

	select {
	case err := <-failed:
		fmt.Fprintln(os.Stderr, err)

		return 1
	default:
		fmt.Println("done")

		return 0
	}
}

func viewSocket(address string, messages int, ready func()) error {
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, ReadBufferSize: 32 << 10}

	conn, resp, err := dialer.Dial("ws"+strings.TrimPrefix(address, "http"), nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer resp.Body.Close()

	for _, text := range []string{
		`{"type":"connection_init"}`, `{"type":"ping"}`,
		`{"id":"1","type":"subscribe","payload":{"query":"subscription { lines { lines { text } } }"}}`,
	} {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			return err
		}

		if !strings.Contains(text, "subscribe") {
			if _, _, err := conn.ReadMessage(); err != nil {
				return err
			}
		}
	}

	ready()

	for n := 0; ; n++ {
		_, r, err := conn.NextReader()
		if err != nil {
			return err
		}

		size, err := io.Copy(io.Discard, r)
		if err != nil {
			return err
		}

		if size < 100 { // complete
			if n != messages {
				return fmt.Errorf("%d messages, not %d", n, messages)
			}

			return nil
		}
	}
}

func viewEvents(address string, messages int, ready func()) error {
	request, err := http.NewRequest(http.MethodPost, address, strings.NewReader(`{"query":"subscription { lines { lines { text } } }"}`))
	if err != nil {
		return err
	}

	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")

	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer resp.Body.Close()

	ready()

	n, r := 0, bufio.NewReaderSize(resp.Body, 64<<10)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}

		switch {
		case bytes.HasPrefix(line, []byte("event: next")):
			n++
		case bytes.HasPrefix(line, []byte("event: complete")):
			if n != messages {
				return fmt.Errorf("%d messages, not %d", n, messages)
			}

			return nil
		}
	}
}
