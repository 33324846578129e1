package faults

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A port of a service that somebody else takes while nothing of it runs is
// replaced, and the endpoint that is shown is where it answers.
func TestPortThatWasTakenWhileShiplogWasDown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, dialect string) {
		t.Helper()

		ctx := t.Context()
		w := newWorld(t, dialect, 1)

		if err := w.service(ctx, "shop"); err != nil {
			t.Fatal(err)
		}

		if err := w.registerLate(ctx, "shop", "1.0.0", 0); err != nil {
			t.Fatal(err)
		}

		d, err := w.deploy(ctx, "shop", "1.0.0", nil)
		if err != nil {
			t.Fatal(err)
		}

		if _, err := w.await(ctx, d.ID, 20*time.Second, is("SUCCEEDED")); err != nil {
			t.Fatal(err)
		}

		before, err := w.endpoint(ctx, d.ID)
		if err != nil {
			t.Fatal(err)
		}

		if err := w.answersAt(ctx, before); err != nil {
			t.Fatal(err)
		}

		if err := w.replicas[0].kill(); err != nil {
			t.Fatal(err)
		}

		if err := w.targets.StopAll(ctx); err != nil {
			t.Fatal(err)
		}

		thief, err := net.Listen("tcp", strings.TrimPrefix(before, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer thief.Close()

		if err := w.replicas[0].start(ctx); err != nil {
			t.Fatal(err)
		}

		for until := time.Now().Add(20 * time.Second); ; {
			now, err := w.endpoint(ctx, d.ID)
			if err != nil {
				t.Fatal(err)
			}

			if now != before {
				err = w.answersAt(ctx, now)
			} else {
				err = errors.New("it is where it was")
			}

			if err == nil {
				break
			}

			if time.Now().After(until) {
				t.Fatalf("it is said to answer at %s: %v", now, err)
			}

			if err := pause(ctx, 50*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}

		if err := w.replicas[0].kill(); err != nil {
			t.Fatal(err)
		}

		moves := 0

		for _, e := range events(t, w.checkRecord(t)) {
			if e.Type == "deployment.moved" && e.Subject == d.ID {
				moves++
			}
		}

		if moves != 1 {
			t.Errorf("the journal says %d times that it moved", moves)
		}
	})
}

// endpoint is where the deployment is said to answer.
func (w *world) endpoint(ctx context.Context, id string) (string, error) {
	var found struct {
		Deployment struct{ Endpoints []struct{ URL string } }
	}

	err := w.read(ctx, "query($id: ID!) { deployment(id: $id) { endpoints { url } } }", map[string]any{"id": id}, &found)
	if err == nil && len(found.Deployment.Endpoints) != 1 {
		err = errors.New("it has not one endpoint")
	}

	if err != nil {
		return "", err
	}

	return found.Deployment.Endpoints[0].URL, nil
}

// answersAt asks the service that takes its time there.
func (w *world) answersAt(ctx context.Context, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return err
	}

	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}

	return answer.Body.Close()
}
