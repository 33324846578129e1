package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// again is how long a component that ended is left alone before it is started
// again, and poll how often one is asked whether it is ready.
const (
	again = 500 * time.Millisecond
	poll  = 50 * time.Millisecond
)

// Run is process 1 inside: it runs the components for ever.
func Run(dir, cgroups string) error {
	s, err := Read(dir)
	if err != nil {
		return err
	}

	if err := mounts(s, strings.Fields(cgroups)); err != nil {
		return err
	}

	if err := network(s); err != nil {
		return err
	}

	for _, f := range s.Forwards {
		if err := os.Remove(s.socket(f.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}

		if _, err := forward("unix", s.socket(f.Name), "tcp", f.To); err != nil {
			return err
		}
	}

	r := &runner{spec: s, ready: map[string]chan struct{}{}, children: newReaper()}
	for _, c := range s.Components {
		r.ready[c.Name] = make(chan struct{})
	}

	// Nothing ends this stage but a signal that kills it.
	var running sync.WaitGroup
	for _, c := range s.Components {
		running.Go(func() { r.component(context.Background(), c) })
	}

	return r.children.loop()
}

type runner struct {
	spec     Spec
	ready    map[string]chan struct{}
	children *reaper
}

// component starts a component when those before it are ready, and again
// whenever it has ended.
func (r *runner) component(ctx context.Context, c Component) {
	for _, after := range c.After {
		<-r.ready[after]
	}

	for first := true; ; first = false {
		ended, pid, err := r.children.start(c.Command, r.spec.log(c.Name))
		if err != nil {
			say("%s does not start: %v", c.Name, err)
		} else {
			say("%s is process %d", c.Name, pid)

			if first && !c.Once {
				go r.announce(ctx, c)
			}

			status := <-ended
			say("%s has ended: %s", c.Name, describe(status))

			if c.Once && status.ExitStatus() == 0 {
				close(r.ready[c.Name])

				return
			}
		}

		<-time.After(again)
	}
}

// announce says once that a component is ready.
func (r *runner) announce(ctx context.Context, c Component) {
	for !c.Ready.is(ctx) {
		<-time.After(poll)
	}

	say("%s is ready", c.Name)
	close(r.ready[c.Name])
}

func (r Ready) is(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()

	switch {
	case r.Socket != "":
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", r.Socket)
		if err == nil {
			conn.Close()
		}

		return err == nil
	case r.URL != "":
		return r.answers(ctx)
	default:
		return true
	}
}

func (r Ready) answers(ctx context.Context) bool {
	roots := x509.NewCertPool()

	if r.CA != "" {
		ca, err := os.ReadFile(r.CA)
		if err != nil || !roots.AppendCertsFromPEM(ca) {
			return false
		}
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return false
	}

	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()

	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()

	_, err = io.Copy(io.Discard, response.Body)

	return err == nil && response.StatusCode == http.StatusOK
}

// say writes a line into the node's log.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().UTC().Format("15:04:05.000 ")+format+"\n", args...)
}
