//go:build unix

package streams

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Viewers that stop reading are not noticed by the others, cost the server a
// bounded amount of memory, are let go, and get the rest with their cursor.
func TestViewersThatStopReading(t *testing.T) {
	t.Parallel()

	// One after the other: what is late here is to be the stalled viewers' doing.
	for _, dialect := range []string{"sqlite", "postgres"} {
		t.Run(dialect, func(t *testing.T) { stalling(t, alone(t, config(t, dialect))) })
	}
}

func stalling(t *testing.T, a *api) {
	const (
		lines, perSecond = 40_000, 4_000
		stalled          = 16 // half of them over each transport
		// memory is some 4 MB a viewer over what the server needs by itself;
		// all of the log would be 13.
		memory = 100 << 20
	)

	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()

	id := a.deploy("talker", "talk", strconv.Itoa(lines), strconv.Itoa(perSecond))

	var all, others, arrived sync.WaitGroup
	defer all.Wait()
	defer cancel()

	on := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(on) })
	defer goOn()

	arrived.Add(stalled)

	for i := range stalled {
		all.Go(func() {
			here := sync.OnceFunc(arrived.Done)
			defer here()

			r := &record{}
			v := &viewer{url: a.url, transport: transportOf(i), deployment: id, dial: narrow}
			v.each = func(b batch) error {
				if err := r.take(b); err != nil {
					return err
				}

				here()
				<-on

				return nil
			}

			cuts := 0

			var err error
			for err = v.follow(ctx); errors.Is(err, errCut) && ctx.Err() == nil; err = v.follow(ctx) {
				cuts++
				v.dial = nil
			}

			if err == nil {
				err = r.complete(v, lines)
			}

			// Who comes back and does not read is let go again.
			if err != nil || cuts < 1 {
				t.Errorf("stalled viewer %d, cut %d times, after line %d: %v", i, cuts, r.last, err)
			}
		})
	}

	arrived.Wait()

	records := make([]record, 4)

	for i := range records {
		others.Go(func() {
			v := &viewer{url: a.url, transport: transportOf(i), deployment: id, each: records[i].take}

			if err := v.follow(ctx); err != nil {
				t.Errorf("viewer %d after line %d: %v", i, records[i].last, err)
			} else if err := records[i].complete(v, lines); err != nil {
				t.Errorf("viewer %d: %v", i, err)
			}
		})
	}

	done := make(chan struct{})

	go func() {
		defer close(done)

		others.Wait()
	}()

	// Until the others have all of it and those that do not read are let go.
	most, over := gauges{}, false

	until(t, "the stalled viewers are let go", func() bool {
		select {
		case <-done:
			over = true
		default:
		}

		now := a.measure()
		if now.heap > most.heap {
			most = now
		}

		return over && now.streams == 0
	})

	for i := range records {
		if late := records[i].percentile(.5); late > outerBound/2 {
			t.Errorf("viewer %d got half of the lines over %v late", i, late)
		}
	}

	t.Logf("the others: p50 %v, p99 %v from the line to the viewer; the most memory: %v", records[0].percentile(.5), records[0].percentile(.99), most)

	if most.heap > memory {
		t.Errorf("%d stalled viewers: %v", stalled, most)
	}

	goOn()
	all.Wait()
}

func transportOf(i int) string {
	if i%2 == 0 {
		return eventStream
	}

	return webSocket
}

// narrow is a connection of which little is kept on the way to a viewer that
// does not read.
func narrow(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}

	if tcp, ok := conn.(*net.TCPConn); ok {
		err = tcp.SetReadBuffer(16 << 10)
	}

	return conn, err
}
