package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// act is how long it took from sending registerVersion until something.
type act struct {
	// …the decision was stored and answered, the deployment began to act, its
	// process ran, and a subscriber had the process' first line.
	decided, acted, started, seen time.Duration
}

// acting registers versions, one after the other, that a rule deploys, and
// watches their logs.
func acting(ctx context.Context, s *stage) (err error) {
	database, _, err := s.history(ctx, either(s.options, 10_000, 100_000))
	if err != nil {
		return err
	}

	p, err := s.serve(ctx, database, true)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, p.stop()) }()

	a, err := newApplication(ctx, p.address, "bench-acting", s.producer)
	if err != nil {
		return err
	}

	w, err := watchLogs(ctx, p.address)
	if err != nil {
		return err
	}
	defer w.conn.Close()

	var acts []act

	for range either(s.options, 40, 300) + 1 {
		one, err := w.act(ctx, a)
		if err != nil {
			return err
		}

		acts = append(acts, one)
	}

	acts = acts[1:] // the first one finds nothing prepared

	of := func(what string, took func(act) time.Duration, goals ...func(p50, p99 time.Duration) goal) {
		all := make([]time.Duration, len(acts))
		for i := range acts {
			all[i] = took(acts[i])
		}

		slices.Sort(all)

		p50, p99 := quantile(all, 0.5), quantile(all, 0.99)
		r := row{what: "version registered → " + what, figures: spread(p50, p99)}

		for _, g := range goals {
			r.goals = append(r.goals, g(p50, p99))
		}

		s.add(r)
	}

	of("decision stored", func(a act) time.Duration { return a.decided })
	of("deployment's first act", func(a act) time.Duration { return a.acted },
		func(p50, _ time.Duration) goal { return atMost("p50", p50, 50*time.Millisecond) },
		func(_, p99 time.Duration) goal { return atMost("p99", p99, 250*time.Millisecond) })
	of("process started", func(a act) time.Duration { return a.started })
	of("first line at a subscriber", func(a act) time.Duration { return a.seen })

	return nil
}

// watcher is a subscriber over one WebSocket.
type watcher struct {
	conn *websocket.Conn
	id   int
}

func watchLogs(ctx context.Context, address string) (*watcher, error) {
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}}

	conn, response, err := dialer.DialContext(ctx, "ws://"+address+"/graphql", nil)
	if err != nil {
		return nil, err
	}

	response.Body.Close()

	err = conn.WriteJSON(object{"type": "connection_init", "payload": object{"authorization": "Bearer " + token}})
	if err == nil {
		_, _, err = conn.ReadMessage()
	}

	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}

	return &watcher{conn: conn}, nil
}

// message is one of the protocol's.
type message struct {
	ID, Type string
	Payload  json.RawMessage
}

// act registers a version and follows its deployment's log to the outcome.
func (w *watcher) act(ctx context.Context, a *application) (act, error) {
	began := time.Now()

	id, err := a.register(ctx)
	if err != nil {
		return act{}, err
	}

	one := act{decided: time.Since(began)}
	w.id++

	err = w.conn.WriteJSON(object{"id": strconv.Itoa(w.id), "type": "subscribe", "payload": object{
		"query": `subscription ($d: ID!) { deploymentLogs(deployment: $d) { lines { time stream text } cursor } }`, "variables": object{"d": id},
	}})
	if err != nil {
		return one, err
	}

	if err := w.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return one, err
	}

	if err := w.follow(&one, began); err != nil {
		return one, fmt.Errorf("the log of %s: %w", id, err)
	}

	d, err := a.succeeded(ctx, id)
	if err != nil {
		return one, err
	}

	if d.ActedAt == nil {
		return one, fmt.Errorf("deployment %s succeeded without having acted", id)
	}

	if one.seen == 0 {
		return one, fmt.Errorf("the log of %s was complete without a line of its process", id)
	}

	one.acted = d.ActedAt.Sub(began)

	return one, nil
}

// follow reads until the subscription ends.
func (w *watcher) follow(one *act, began time.Time) error {
	for {
		var m message
		if err := w.conn.ReadJSON(&m); err != nil {
			return err
		}

		if m.Type == "complete" {
			return nil
		}

		if m.Type != "next" || m.ID != strconv.Itoa(w.id) {
			return fmt.Errorf("%s: %.300s", m.Type, m.Payload)
		}

		var payload struct {
			Data struct {
				DeploymentLogs struct {
					Lines []struct{ Stream, Text string }
				}
			}
		}

		if err := json.Unmarshal(m.Payload, &payload); err != nil {
			return err
		}

		for _, line := range payload.Data.DeploymentLogs.Lines {
			if line.Stream != "CONTAINER" || one.seen > 0 {
				continue
			}

			one.seen = time.Since(began)

			at, err := strconv.ParseInt(strings.TrimPrefix(line.Text, "started "), 10, 64)
			if err != nil {
				return err
			}

			one.started = time.Unix(0, at).Sub(began)
		}
	}
}
