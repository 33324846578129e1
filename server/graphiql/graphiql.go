// Package graphiql serves GraphiQL out of the binary: the published files of
// vendored/ and a page of our own, under a content security policy that lets
// nothing else in.
//
// The files come from npm. To take other versions, change package.json, then:
//
//	npm install --omit-lockfile-registry-resolved && npm run vendor
package graphiql

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed page vendored
var files embed.FS

// Config says where the page is.
type Config struct {
	// Path is where the page is served; its files are below Path + "/".
	Path string
	// Endpoint is the path of the GraphQL endpoint, on the same origin.
	Endpoint string
}

// DefaultConfig gives the paths of Shiplog.
func DefaultConfig() Config { return Config{Path: "/graphiql", Endpoint: "/graphql"} }

// Validate reports the first setting that cannot work.
func (c Config) Validate() error {
	if path.Base(c.Path) != "graphiql" || !strings.HasPrefix(c.Path, "/") {
		return errors.New("the path of the page must be absolute and end in /graphiql")
	}

	if !strings.HasPrefix(c.Endpoint, "/") {
		return errors.New("the path of the endpoint must be absolute")
	}

	return nil
}

// Handler serves the page at its path and its files below.
type Handler struct {
	config  Config
	page    *template.Template
	files   http.Handler
	version string
}

// New makes the handler. Route both Path and everything below it to it.
func New(config Config) (*Handler, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("configure GraphiQL: %w", err)
	}

	page, err := template.ParseFS(files, "page/index.html")
	if err != nil {
		return nil, fmt.Errorf("read the page of GraphiQL: %w", err)
	}

	version, err := digest()
	if err != nil {
		return nil, err
	}

	return &Handler{
		config: config, page: page, version: version,
		files: http.StripPrefix(config.Path+"/", http.FileServerFS(files)),
	}, nil
}

// digest names the content of all files, so that they may be cached for good.
func digest() (string, error) {
	sum := sha256.New()

	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}

		content, err := files.ReadFile(name)
		sum.Write(content)

		return err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return "", fmt.Errorf("read the files of GraphiQL: %w", err)
	}

	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// ServeHTTP serves GET and HEAD.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)

		return
	}

	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")

	switch name := strings.TrimPrefix(r.URL.Path, h.config.Path); {
	case name == "":
		h.servePage(w)
	case name == "/":
		http.Redirect(w, r, h.config.Path, http.StatusFound)
	case strings.HasSuffix(name, "/") || name == "/page/index.html":
		http.NotFound(w, r)
	default:
		if r.URL.RawQuery == h.version {
			header.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			header.Set("Cache-Control", "no-cache")
		}

		h.files.ServeHTTP(w, r)
	}
}

func (h *Handler) servePage(w http.ResponseWriter) {
	nonce := rand.Text()

	var page bytes.Buffer
	if err := h.page.Execute(&page, map[string]string{
		"Nonce": nonce, "Version": h.version, "Endpoint": h.config.Endpoint,
	}); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)

		return
	}

	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Frame-Options", "DENY")
	// GraphiQL's style sheet holds its fonts and two images as data.
	header.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"style-src 'self' 'nonce-" + nonce + "'",
		"font-src data:",
		"img-src 'self' data:",
		"connect-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	}, "; "))

	if _, err := w.Write(page.Bytes()); err != nil {
		return // The client went away.
	}
}
