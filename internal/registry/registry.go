// Package registry asks the registries of container images which digest a tag
// means now. It knows no other room: a reference goes in, a digest comes out.
//
// A question is bounded in time and in bytes, is asked over TLS (but for
// loopback and hosts that the operator names), and follows no redirect to
// another scheme. Credentials are those of the machine's docker or podman
// configuration, credential helpers included, read anew for every question.
package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/shiplog/shiplog/internal/fault"
)

// Config is what a client needs. Zero values take the defaults.
type Config struct {
	// Plain are hosts (registry.example:5000) that may be spoken to without
	// TLS, beside loopback.
	Plain []string
	// Timeout bounds one question, 15 seconds: a token, a HEAD and one
	// repetition of each take a slow registry some seconds.
	Timeout time.Duration
	// Keychain gives the credentials, those of docker's configuration.
	Keychain authn.Keychain
}

// Client asks registries. It may be used by several goroutines.
type Client struct {
	plain    []string
	timeout  time.Duration
	keychain authn.Keychain
	base     *http.Transport
}

// New makes a client. Errors: a host of Plain that is none.
func New(c Config) (*Client, error) {
	for _, host := range c.Plain {
		if _, err := name.NewRegistry(host, name.StrictValidation); err != nil {
			return nil, fault.Invalid("plainRegistries", "%.80q is no HOST or HOST:PORT", host)
		}
	}

	client := &Client{plain: slices.Clone(c.Plain), timeout: c.Timeout, keychain: c.Keychain, base: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        30 * time.Second,
	}}

	if client.timeout == 0 {
		client.timeout = 15 * time.Second
	}

	if client.keychain == nil {
		client.keychain = authn.DefaultKeychain
	}

	return client, nil
}

// Close gives idle connections back; also on nil.
func (c *Client) Close() {
	if c != nil {
		c.base.CloseIdleConnections()
	}
}

// Digest gives the digest ("sha256:…") that the reference means at its
// registry now: that of an index, where the tag is one for several platforms.
// Errors: NOT_FOUND when there is no such image; UNAUTHENTICATED and FORBIDDEN
// when the registry does not tell us; INVALID_INPUT when the reference is
// none; UNAVAILABLE when it may be asked again later.
func (c *Client) Digest(ctx context.Context, reference string) (string, error) {
	ref, err := c.parse(reference)
	if err != nil {
		return "", err
	}

	host := ref.Context().RegistryStr()

	asking, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	options := []remote.Option{
		remote.WithContext(asking), remote.WithAuthFromKeychain(c.keychain), remote.WithUserAgent("shiplog"),
		remote.WithTransport(guard{base: c.base, plain: c.plainHost}),
		// Whoever asked asks again: here a hiccup is passed, no more.
		remote.WithRetryBackoff(remote.Backoff{Duration: 200 * time.Millisecond, Factor: 1, Steps: 2}),
	}

	digest, err := head(ref, options)

	switch {
	case err == nil:
	case ctx.Err() != nil:
		return "", ctx.Err()
	default:
		return "", refusal(reference, host, c.timeout, err)
	}

	if !strings.HasPrefix(digest, "sha256:") {
		return "", fault.New(fault.InvalidInput, "image %s has the digest %s at its registry; accepted are digests of SHA-256", reference, digest)
	}

	return digest, nil
}

// head asks for the digest alone, and for the whole manifest where a registry
// does not say it without.
func head(ref name.Reference, options []remote.Option) (string, error) {
	d, err := remote.Head(ref, options...)
	if err == nil {
		return d.Digest.String(), nil
	}

	if answered, ok := errors.AsType[*transport.Error](err); ok {
		if answered.StatusCode != http.StatusMethodNotAllowed && answered.StatusCode != http.StatusNotImplemented {
			return "", err
		}
	} else if !incomplete(err) {
		return "", err
	}

	whole, err := remote.Get(ref, options...)
	if err != nil {
		return "", err
	}

	return whole.Digest.String(), nil
}

// parse reads a reference and decides whether its registry may be spoken to
// without TLS.
func (c *Client) parse(reference string) (name.Reference, error) {
	ref, err := name.ParseReference(reference, name.WeakValidation)
	if err == nil && c.plainHost(ref.Context().RegistryStr()) {
		ref, err = name.ParseReference(reference, name.WeakValidation, name.Insecure)
	}

	if err != nil {
		return nil, fault.Wrap(err, fault.InvalidInput, "%.120q is no image reference that a registry could be asked for", reference)
	}

	return ref, nil
}

// plainHost reports whether the host may be spoken to without TLS.
func (c *Client) plainHost(host string) bool {
	if slices.Contains(c.plain, host) {
		return true
	}

	bare := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		bare = h
	}

	ip := net.ParseIP(strings.Trim(bare, "[]"))

	return bare == "localhost" || strings.HasSuffix(bare, ".localhost") || ip != nil && ip.IsLoopback()
}
