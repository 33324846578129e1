package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxBody bounds every body: a manifest has at most 4 MiB by the
// specification, all else is far smaller.
const maxBody = 4<<20 + 64<<10

// maxRedirects bounds a chain of redirects: the library sets no bound to those
// of manifests. Registries need one, to where their content is kept.
const maxRedirects = 5

// What guard refuses.
var (
	errPlain    = errors.New("may only be spoken to over TLS")
	errRedirect = errors.New("sends to another scheme, which is not followed")
	errCircle   = errors.New("sends from one place to the next without end")
	errBody     = fmt.Errorf("sends a body of more than %d bytes", maxBody)
)

// guard lets through what may go out and bounds what comes back. The library
// takes addresses of private networks for plain ones and follows redirects:
// here every request is looked at, redirects and those for tokens included.
type guard struct {
	base  http.RoundTripper
	plain func(host string) bool
}

// RoundTrip sends the request, or refuses to.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	var refused error

	switch from := r.Response; {
	case from != nil && from.Request != nil && from.Request.URL.Scheme != r.URL.Scheme:
		refused = errRedirect
	case redirects(r) > maxRedirects:
		refused = errCircle
	case r.URL.Scheme != "https" && !g.plain(r.URL.Host):
		refused = errPlain
	}

	if refused != nil {
		if r.Body != nil {
			r.Body.Close()
		}

		return nil, fmt.Errorf("%s: %w", r.URL.Host, refused)
	}

	answer, err := g.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}

	answer.Body = &bounded{ReadCloser: answer.Body, left: maxBody}

	return answer, nil
}

// redirects counts those that led to the request.
func redirects(r *http.Request) int {
	n := 0
	for ; n <= maxRedirects && r.Response != nil && r.Response.Request != nil; r = r.Response.Request {
		n++
	}

	return n
}

// bounded is a body that ends with an error where it should long have ended.
type bounded struct {
	io.ReadCloser

	left int
}

// Read reads.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errBody
	}

	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n

	return n, err
}
