//go:build unix

package streams

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A viewer that comes in the middle of a rollout, is reset at random places
// and comes back with its cursor sees every line once, in order, then the end.
func TestCutViewersSeeEveryLineOnce(t *testing.T) {
	each(t, func(t *testing.T, a *api, transport string) { cutting(t, a, transport, 30_000, 10_000) })
}

// The same at 1,000 lines a second for long.
func TestReconnectingForLong(t *testing.T) {
	seconds := 10
	if long() {
		seconds = 300
	}

	each(t, func(t *testing.T, a *api, transport string) { cutting(t, a, transport, 1000*seconds, 1000) })
}

func cutting(t *testing.T, a *api, transport string, lines, perSecond int) {
	rnd := random(t)
	id := a.deploy("talker", "talk", strconv.Itoa(lines), strconv.Itoa(perSecond))

	ctx, cancel := context.WithTimeout(t.Context(), patience+time.Duration(lines/perSecond)*time.Second)
	defer cancel()

	// In the middle of the rollout: when there are some lines.
	first := &record{}
	peek := &viewer{url: a.url, transport: transport, deployment: id, each: func(b batch) error {
		if err := first.take(b); err != nil {
			return err
		}

		if first.last > lines/20 {
			return errCut
		}

		return nil
	}}

	if err := peek.follow(ctx); !errors.Is(err, errCut) {
		t.Fatal("the first viewer:", err)
	}

	var (
		viewers sync.WaitGroup
		records [3]*record
		cuts    [3]int
	)

	for i := range records {
		mine := rand.New(rand.NewPCG(rnd.Uint64(), rnd.Uint64()))
		records[i] = &record{came: time.Now()}
		v := &viewer{url: a.url, transport: transport, deployment: id, each: records[i].take, header: i == 1 && transport == eventStream}

		viewers.Go(func() {
			for {
				v.dial = cutAfter(1 + mine.IntN(400<<10))
				err := v.follow(ctx)

				if err == nil {
					break
				}

				if !errors.Is(err, errCut) || ctx.Err() != nil {
					t.Errorf("viewer %d after line %d: %v", i, records[i].last, err)

					return
				}

				cuts[i]++
			}

			if err := records[i].complete(v, lines); err != nil {
				t.Errorf("viewer %d: %v", i, err)
			}
		})
	}

	viewers.Wait()

	if t.Failed() {
		return
	}

	t.Logf("cut %v times; p50 %v, p99 %v from the line to the viewer", cuts, records[0].percentile(.5), records[0].percentile(.99))

	if cuts[0]+cuts[1]+cuts[2] < 3 {
		t.Error("hardly any viewer was cut")
	}

	again := a.whole(t, transport, id)
	for i, r := range records {
		if err := r.sameAs(again); err != nil {
			t.Errorf("viewer %d: %v", i, err)
		}
	}

	if got := a.status(id); got != "SUCCEEDED" {
		t.Errorf("the deployment is %s", got)
	}
}
