package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

func handler(b behaviour, host string, start time.Time) *http.ServeMux {
	mux := http.NewServeMux()

	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "hello from %s version %s\n", host, b.version)
	})

	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		switch up := time.Since(start); {
		case up < b.readyAfter:
			http.Error(w, "not ready yet", http.StatusServiceUnavailable)
		case up >= b.failProbeAfter:
			http.Error(w, "asked to fail", http.StatusInternalServerError)
		default:
			fmt.Fprintln(w, "ok")
		}
	})

	mux.HandleFunc("GET /env/{name}", func(w http.ResponseWriter, r *http.Request) {
		value, set := os.LookupEnv(r.PathValue("name"))
		if !set {
			http.NotFound(w, r)

			return
		}

		fmt.Fprintln(w, value)
	})

	mux.HandleFunc("GET /file/{path...}", func(w http.ResponseWriter, r *http.Request) {
		content, err := os.ReadFile("/" + r.PathValue("path"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)

			return
		}

		fmt.Fprintf(w, "%s", content)
	})

	return mux
}
