// Command produce is the application that the benchmark deploys: it says when
// it was started, is ready at once, and prints numbered lines when it is asked
// to, each with the moment at which it was due:
//
//	POST /produce?lines=50000&rate=10000
//
// A rate of 0 is as fast as they are taken.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// width of a line, with its newline.
const width = 201

// gathered is how many bytes are written at once when there is no rate.
const gathered = 64 << 10

var filler = strings.Repeat("deploy step output lorem ipsum dolor sit amet 0123456789 ", 4)

func main() {
	if _, err := fmt.Fprintf(os.Stdout, "started %d\n", time.Now().UnixNano()); err != nil {
		os.Exit(1)
	}

	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "produce:", err)
		os.Exit(1)
	}
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	mux := http.NewServeMux()
	mux.HandleFunc("POST /produce", func(w http.ResponseWriter, r *http.Request) {
		lines, err := strconv.Atoi(r.FormValue("lines"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)

			return
		}

		rate, err := strconv.Atoi(r.FormValue("rate"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)

			return
		}

		if err := produce(r.Context(), os.Stdout, lines, rate); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })

	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: mux, ReadHeaderTimeout: time.Second}
	stopped := context.AfterFunc(ctx, func() { server.Close() })

	defer stopped()

	if err := server.ListenAndServe(); err != nil && ctx.Err() == nil {
		return err
	}

	return nil
}

// produce prints so many lines, each when it is due.
func produce(ctx context.Context, out io.Writer, lines, rate int) error {
	var (
		buffer = make([]byte, 0, gathered+width)
		began  = time.Now()
		timer  = time.NewTimer(0)
	)

	defer timer.Stop()

	for n := 0; n < lines; {
		due := lines
		if rate > 0 {
			due = min(lines, int(time.Since(began)*time.Duration(rate)/time.Second)+1)
		}

		for buffer = buffer[:0]; n < due && len(buffer) < gathered; n++ {
			buffer = line(buffer, at(began, n, rate), n)
		}

		if _, err := out.Write(buffer); err != nil {
			return err
		}

		if rate == 0 {
			continue
		}

		timer.Reset(time.Until(at(began, n, rate)))

		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	return nil
}

// at is when a line is due.
func at(began time.Time, n, rate int) time.Time {
	if rate == 0 {
		return time.Now()
	}

	return began.Add(time.Duration(n) * time.Second / time.Duration(rate))
}

// line appends a line of the width: @@, its moment, its number, and words.
func line(b []byte, due time.Time, n int) []byte {
	start := len(b)
	b = fmt.Appendf(b, "@@%019d %010d ", due.UnixNano(), n)
	b = append(b, filler[:width-1-(len(b)-start)]...)

	return append(b, '\n')
}
