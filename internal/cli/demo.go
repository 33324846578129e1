package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/shiplog/shiplog/internal/client"
)

// serverStart bounds how long the demo's server may take to answer; a first
// start makes the database.
const serverStart = time.Minute

type demoCommand struct {
	serverFlags

	Listen string `env:"SHIPLOG_LISTEN" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen (${default}; $$${env})."`
	Hello  string `placeholder:"DIR" help:"Where the builds of the example service are; the directory hello beside this program when left out."`
	Exit   bool   `help:"Play, verify, stop everything, and end: with 0 only if every expectation held."`
}

// Help teaches by example.
func (demoCommand) Help() string {
	return `It starts a server of its own and speaks to it through its public API alone, as
CI and a person would. Every claim of the story is checked; the first that does
not hold ends it with exit code 1. On data on which the story was played before
it shows where things stand and goes on serving.

Examples:

  shiplog demo
  shiplog demo --data "$(mktemp -d)" --listen 127.0.0.1:0 --exit`
}

// Run plays the story. An interrupt is a normal end, except with --exit.
func (c *demoCommand) Run(ctx context.Context, s *session, line *commands, program Program) (err error) {
	hello, err := helloDirectory(c.Hello)
	if err != nil {
		return err
	}

	log, err := c.openLog()
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, log.Close()) }()

	began := time.Now()
	server := startServer(ctx, program, ServeOptions{
		Listen: c.Listen, Database: c.Database, Data: c.Data, Token: line.Token,
		Dev: true, StopProcesses: true, Log: log,
	})

	fmt.Fprintf(s.out, "starting the server (data in %s, its log in %s)\n", c.Data, log.Name())

	url, err := server.url(ctx)
	if err == nil {
		err = c.play(ctx, s, line, program, hello, url)
	}

	if err == nil && !c.Exit {
		fmt.Fprintf(s.out, "\nserving – press Ctrl-C to stop (it stops the processes, too)\n")

		select {
		case <-ctx.Done():
			fmt.Fprintln(s.out, "\nstopping")
		case <-server.done:
		}
	}

	stopped := server.stop()

	switch {
	case ctx.Err() != nil && !c.Exit:
		return stopped
	case err != nil:
		return errors.Join(err, stopped)
	case stopped != nil:
		return stopped
	}

	if c.Exit {
		fmt.Fprintf(s.out, "\nevery expectation held; done and stopped in %s\n", time.Since(began).Round(time.Millisecond))
	}

	return nil
}

func (c *demoCommand) play(
	ctx context.Context, s *session, line *commands, program Program, hello, url string,
) error {
	own := *s
	own.json = false
	own.timeout = 0

	var err error

	own.client, err = client.New(client.Config{Server: url, Token: line.Token, UserAgent: "shiplog-demo/" + program.Version})
	if err != nil {
		return fmt.Errorf("the demo's client: %w", err)
	}
	defer own.client.Close()

	told, err := newStory(&own, hello, c.Data, url, c.Exit)
	if err != nil {
		return err
	}
	defer told.http.CloseIdleConnections()

	return told.tell(ctx)
}

// openLog opens the file that takes the server's log, so that the story stays
// readable.
func (c *demoCommand) openLog() (*os.File, error) {
	if err := os.MkdirAll(c.Data, 0o750); err != nil {
		return nil, fmt.Errorf("the data directory: %w", err)
	}

	log, err := os.OpenFile(filepath.Join(c.Data, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the server's log: %w", err)
	}

	return log, nil
}

// helloDirectory finds the builds of the example service.
func helloDirectory(given string) (string, error) {
	dir := given

	if dir == "" {
		program, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find this program: %w", err)
		}

		dir = filepath.Join(filepath.Dir(program), "hello")
	}

	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", dir, err)
	}

	for _, name := range []string{"score.yaml", "hello-1.0.0", "hello-1.1.0", "hello-1.2.0", "hello-1.3.0"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", usage("the example service is not built: %v (make build does it, or say where it is with --hello)", err)
		}
	}

	return dir, nil
}

// demoServer is the server that the demo runs in this process.
type demoServer struct {
	cancel context.CancelFunc
	ready  chan string
	// done is closed when the server has ended, err says how.
	done chan struct{}
	err  error
}

// startServer starts it. It does not end with ctx but by stop alone, so that
// the story can end before it.
func startServer(ctx context.Context, program Program, options ServeOptions) *demoServer {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	server := &demoServer{cancel: cancel, ready: make(chan string, 1), done: make(chan struct{})}

	go func() {
		defer close(server.done)

		server.err = program.Serve(running, options, func(url string) { server.ready <- url })
	}()

	return server
}

// url waits until the server answers.
func (d *demoServer) url(ctx context.Context) (string, error) {
	patience := time.NewTimer(serverStart)
	defer patience.Stop()

	select {
	case url := <-d.ready:
		return url, nil
	case <-d.done:
		return "", errors.New("the server did not start")
	case <-patience.C:
		return "", fmt.Errorf("the server did not answer within %s", serverStart)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// stop ends the server and says how it ended; being stopped is no error.
func (d *demoServer) stop() error {
	d.cancel()
	<-d.done

	if errors.Is(d.err, context.Canceled) {
		return nil
	}

	return d.err
}
