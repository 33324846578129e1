//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// The rhythm of readiness. A start is watched closely, because somebody waits
// for it; a ready process is asked seldom, because each question may be a line
// in its log.
const (
	probeFirst    = 20 * time.Millisecond
	probeSlowest  = time.Second
	probeReady    = 5 * time.Second
	probeTimeout  = time.Second
	probeFailures = 3
	settleTime    = time.Second
)

// probe is how readiness is asked. With neither URL nor addresses, a process
// is ready when it has run for settleTime.
type probe struct {
	URL       string            `json:"url,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
	Addresses []string          `json:"addresses,omitempty"`
}

// String says in words what is asked.
func (p probe) String() string {
	switch {
	case p.URL != "":
		return "HTTP GET " + p.URL
	case len(p.Addresses) > 0:
		return "TCP connect to " + strings.Join(p.Addresses, ", ")
	default:
		return fmt.Sprintf("running for %s", settleTime)
	}
}

// readiness is one change of mind of a probe.
type readiness struct {
	Ready bool
	Err   string
}

// watch asks until ctx ends and sends changes.
func (p probe) watch(ctx context.Context, changes chan<- readiness) {
	var (
		now   readiness
		wait  = probeFirst
		fails int
	)

	if p.URL == "" && len(p.Addresses) == 0 {
		wait = settleTime
	}

	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}

		next := readiness{Ready: true}
		if err := p.ask(ctx); err != nil {
			next = readiness{Err: probeMessage(err)}
		}

		switch {
		case next.Ready:
			fails, wait = 0, probeReady
		case now.Ready && fails+1 < probeFailures:
			fails++
			wait = probeSlowest

			continue
		default:
			wait = min(max(wait, probeFirst)*2, probeSlowest)
		}

		if next == now {
			continue
		}

		now = next
		select {
		case <-ctx.Done():
			return
		case changes <- now:
		}
	}
}

func (p probe) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()

	if p.URL != "" {
		return p.get(ctx)
	}

	for _, address := range p.Addresses {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}

		if err := conn.Close(); err != nil {
			return err
		}
	}

	return nil
}

func (p probe) get(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		return err
	}

	for name, value := range p.Headers {
		if strings.EqualFold(name, "Host") {
			req.Host = value
		} else {
			req.Header.Set(name, value)
		}
	}

	// A connection of its own each time, never by a proxy, and a redirect is
	// an answer.
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}

	resp, err := client.Do(req)
	if err != nil {
		return err
	}

	if err := resp.Body.Close(); err != nil {
		return err
	}

	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("answered %s", resp.Status)
	}

	return nil
}

func probeMessage(err error) string {
	var timeout interface{ Timeout() bool }

	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer within %s", probeTimeout)
	default:
		return err.Error()
	}
}
