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

// What guard refuses.
var (
	errPlain    = errors.New("may only be spoken to over TLS")
	errRedirect = errors.New("sends to another scheme, which is not followed")
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
