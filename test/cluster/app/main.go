// Command app is the program of test workloads. Variables say how it behaves:
//
//	VERSION           what it calls itself; PORT where it serves (8080)
//	READY_AFTER       /healthz answers 503 for this long (never: always)
//	FAIL_PROBE_AFTER  /healthz answers 500 from then on
//	CRASH_AFTER       it ends then, with EXIT_CODE (1)
//	EAT_AFTER         it takes memory from then on until it is killed
//	LINES             it prints so many numbered lines (all: without end)
//	RATE              lines a second (0: as fast as it can)
//	THEN_EXIT         set: it ends with EXIT_CODE (0) after its lines
//	IGNORE_TERM       set: it does not end at SIGTERM
//	DRAIN             how long it keeps serving after SIGTERM (0s)
//	LISTEN_AFTER      it takes no connection before (0s)
//	ASK               it asks this URL again and again, each time over a new
//	                  connection; ASK_RATE times a second (50)
//
// It answers / (who it is), /healthz, /env/NAME (a variable), /file/PATH (what
// a file holds), and /asked (what came of its own questions).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	b, err := read(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(2)
	}

	code, err := run(b, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)

		code = max(code, 1)
	}

	os.Exit(code)
}

// run serves until something that its behaviour names, or SIGTERM, ends it.
func run(b behaviour, out io.Writer) (code int, err error) {
	host, err := os.Hostname()
	if err != nil {
		return 1, err
	}

	fmt.Fprintf(out, "app %s starts on %s\n", b.version, host)

	<-time.After(b.listenAfter)

	listener, err := net.Listen("tcp", ":"+b.port)
	if err != nil {
		return 1, err
	}

	asked := &asked{}

	mux := handler(b, host, time.Now())
	mux.Handle("GET /asked", asked)

	if b.ask != "" {
		go asked.ask(b.ask, b.askRate)
	}

	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)

	go func() { served <- server.Serve(listener) }()

	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, syscall.SIGINT)

	printed := make(chan error, 1)

	go func() { printed <- b.printLines(out) }()

	for {
		select {
		case err := <-served:
			return 1, err
		case <-b.crash:
			fmt.Fprintln(out, "fatal: asked to crash")

			return b.exitCode(1), nil
		case <-b.eat:
			b.eat = nil

			go eat(out)
		case err := <-printed:
			if err != nil || b.thenExit {
				return b.exitCode(0), err
			}
		case s := <-term:
			if b.ignoreTerm {
				fmt.Fprintf(out, "ignoring: %s\n", s)

				continue
			}

			return 0, end(server, b, out)
		}
	}
}

// end serves on for a while, as traffic may still be on its way, and then lets
// what is under way finish.
func end(server *http.Server, b behaviour, out io.Writer) error {
	fmt.Fprintln(out, "bye")
	<-time.After(b.drain)

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}

	return err
}

// eat takes memory, and touches it, until the kernel has enough.
func eat(out io.Writer) {
	fmt.Fprintln(out, "eating memory")

	var eaten [][]byte

	for {
		block := make([]byte, 4<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}

		eaten = append(eaten, block)
		fmt.Fprintf(out, "%d MB eaten\n", 4*len(eaten))
	}
}
