package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs the handler on loopback and gives its host and port.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()

	s := httptest.NewServer(h)
	t.Cleanup(s.Close)

	return strings.TrimPrefix(s.URL, "http://")
}

func images() http.Handler { return registry.New(registry.Logger(log.New(io.Discard, "", 0))) }

func client(t *testing.T, c Config) *Client {
	t.Helper()

	asker, err := New(c)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(asker.Close)

	return asker
}

// push pushes something of two layers and gives its digest.
func push(t *testing.T, reference string) string {
	t.Helper()

	image, err := random.Image(64, 2)
	if err != nil {
		t.Fatal(err)
	}

	ref, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}

	if err := remote.Write(ref, image, remote.WithTransport(fresh(t))); err != nil {
		t.Fatal(err)
	}

	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}

	return digest.String()
}

// fresh is a transport that ends with the test.
func fresh(t *testing.T) *http.Transport {
	t.Helper()

	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)

	return transport
}

func digestOf(t *testing.T, c *Client, reference, want string) {
	t.Helper()

	if got, err := c.Digest(t.Context(), reference); err != nil || got != want {
		t.Errorf("%s is %s, %v, want %s", reference, got, err, want)
	}
}

func refused(t *testing.T, c *Client, reference string, code fault.Code, says string) {
	t.Helper()

	digest, err := c.Digest(t.Context(), reference)
	if digest != "" || fault.CodeOf(err) != code {
		t.Fatalf("%s: %q, %v, want %s", reference, digest, err, code)
	}

	if message := err.(*fault.Error).Message; !strings.Contains(message, says) { //nolint:errorlint // it is what CodeOf saw
		t.Errorf("%s: says %q, want %q in it", reference, message, says)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()

	host := serve(t, images())
	c := client(t, Config{})

	first := push(t, host+"/shop/hello:1.0")
	digestOf(t, c, host+"/shop/hello:1.0", first)
	digestOf(t, c, host+"/shop/hello@"+first, first)

	second := push(t, host+"/shop/hello:1.0")
	digestOf(t, c, host+"/shop/hello:1.0", second)

	latest := push(t, host+"/shop/hello")
	digestOf(t, c, host+"/shop/hello", latest)

	index, err := random.Index(64, 1, 3)
	if err != nil {
		t.Fatal(err)
	}

	ref, err := name.ParseReference(host + "/shop/many:1.0")
	if err != nil {
		t.Fatal(err)
	}

	if err := remote.WriteIndex(ref, index, remote.WithTransport(fresh(t))); err != nil {
		t.Fatal(err)
	}

	want, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}

	digestOf(t, c, host+"/shop/many:1.0", want.String())

	refused(t, c, host+"/shop/hello:2.0", fault.NotFound, "there is no image "+host+"/shop/hello:2.0")
	refused(t, c, host+"/shop/nothing:1.0", fault.NotFound, "there is no image")
	refused(t, c, host+"/Shop/hello:1.0", fault.InvalidInput, "no image reference")
}

// TestSayingNothingInHeads: a registry whose HEAD has no digest, or that knows
// none, is asked for the manifest.
func TestSayingNothingInHeads(t *testing.T) {
	t.Parallel()

	for reason, head := range map[string]http.HandlerFunc{
		"without a digest": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Content-Length", "10")
		},
		"not allowed": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) },
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()

			inner := images()
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead && strings.HasPrefix(r.Header.Get("User-Agent"), "shiplog") {
					head(w, r)
				} else {
					inner.ServeHTTP(w, r)
				}
			}))

			digestOf(t, client(t, Config{}), host+"/shop/hello:1.0", push(t, host+"/shop/hello:1.0"))
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()

	answers := func(path string, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, path) {
				w.WriteHeader(status)
			}
		}
	}

	for reason, c := range map[string]struct {
		handler http.HandlerFunc
		code    fault.Code
		says    string
	}{
		"forbidden":         {answers("/manifests/", http.StatusForbidden), fault.Forbidden, "docker configuration"},
		"unauthenticated":   {answers("/manifests/", http.StatusUnauthorized), fault.Unauthenticated, "docker configuration"},
		"too many":          {answers("/manifests/", http.StatusTooManyRequests), fault.Unavailable, "answered 429 Too Many Requests"},
		"down":              {answers("/manifests/", http.StatusServiceUnavailable), fault.Unavailable, "answered 503 Service Unavailable"},
		"down at once":      {answers("/v2/", http.StatusBadGateway), fault.Unavailable, "answered 502 Bad Gateway"},
		"no registry":       {answers("/v2/", http.StatusNotFound), fault.Unavailable, "answered 404 Not Found"},
		"a name it has not": {answers("/manifests/", http.StatusBadRequest), fault.InvalidInput, "no image reference"},
		"to another scheme": {func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				_, port, _ := net.SplitHostPort(r.Host)
				http.Redirect(w, r, "https://localhost:"+port+r.URL.Path, http.StatusTemporaryRedirect)
			}
		}, fault.Forbidden, "sends to another scheme"},
		"in a circle": {func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
			}
		}, fault.Unavailable, "without end"},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()

			refused(t, client(t, Config{}), serve(t, c.handler)+"/shop/hello:1.0", c.code, c.says)
		})
	}
}

func TestAway(t *testing.T) {
	t.Parallel()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	host := listener.Addr().String()
	listener.Close()

	refused(t, client(t, Config{}), host+"/shop/hello:1.0", fault.Unavailable, "connection refused")
}

func TestNeverAnswering(t *testing.T) {
	t.Parallel()

	over := make(chan struct{})
	host := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))

	t.Cleanup(func() { close(over) })

	refused(t, client(t, Config{Timeout: 50 * time.Millisecond}), host+"/shop/hello:1.0", fault.Unavailable, "no answer")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if _, err := client(t, Config{}).Digest(ctx, host+"/shop/hello:1.0"); err != context.Canceled { //nolint:errorlint // as it is
		t.Errorf("cancelled: %v", err)
	}
}

// TestPlain: without TLS only loopback and what is named is spoken to, also
// where the library would (private networks).
func TestPlain(t *testing.T) {
	t.Parallel()

	c := client(t, Config{Plain: []string{"registry.example:5000"}})

	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "a.localhost:80": true, "127.0.0.1:1": true, "127.8.8.8": true, "[::1]:5000": true,
		"registry.example:5000": true, "registry.example": false, "10.0.0.1:5000": false, "192.168.1.1": false, "a.local": false,
		"localhost.example": false,
	} {
		if got := c.plainHost(host); got != want {
			t.Errorf("%s: %v", host, got)
		}

		to := &url.URL{Scheme: "http", Host: host, Path: "/v2/"}
		sent := false
		g := guard{plain: c.plainHost, base: roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = true

			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
		})}

		answer, err := g.RoundTrip(&http.Request{URL: to})
		if sent != want || (err == nil) != want {
			t.Errorf("%s: sent %v, %v", host, sent, err)
		}

		if answer != nil {
			answer.Body.Close()
		}
	}

	if _, err := New(Config{Plain: []string{"http://registry.example"}}); !fault.Is(err, fault.InvalidInput) {
		t.Errorf("a URL is taken for a host: %v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBodiesEnd(t *testing.T) {
	t.Parallel()

	body := &bounded{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("a", maxBody+1))), left: maxBody}
	if n, err := io.Copy(io.Discard, body); n != maxBody || err != errBody { //nolint:errorlint // as it is
		t.Errorf("%d bytes, %v", n, err)
	}
}

// guarded is a registry that wants a token, and gives one for a password.
func guarded(t *testing.T, password string) (host string) {
	t.Helper()

	inner := images()

	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			if _, given, _ := r.BasicAuth(); given != password {
				w.WriteHeader(http.StatusUnauthorized)

				return
			}

			if err := json.NewEncoder(w).Encode(map[string]string{"token": "good"}); err != nil {
				t.Error(err)
			}
		case r.Header.Get("Authorization") != "Bearer good":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		default:
			inner.ServeHTTP(w, r)
		}
	}))
}

type keychain authn.AuthConfig

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig(k)), nil
}

func TestTokens(t *testing.T) {
	t.Parallel()

	host := guarded(t, "secret")
	ref, err := name.ParseReference(host + "/shop/hello:1.0")
	if err != nil {
		t.Fatal(err)
	}

	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}

	right := authn.AuthConfig{Username: "u", Password: "secret"}
	if err := remote.Write(ref, image, remote.WithAuth(authn.FromConfig(right)), remote.WithTransport(fresh(t))); err != nil {
		t.Fatal(err)
	}

	want, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}

	digestOf(t, client(t, Config{Keychain: keychain(right)}), ref.String(), want.String())
	refused(t, client(t, Config{Keychain: keychain{Username: "u", Password: "wrong"}}), ref.String(), fault.Unauthenticated, "docker configuration")
	refused(t, client(t, Config{Keychain: keychain{}}), ref.String(), fault.Unauthenticated, "docker configuration")
}

// TestDockerConfiguration is not parallel: it sets the environment.
func TestDockerConfiguration(t *testing.T) {
	host := guarded(t, "secret")
	home := t.TempDir()

	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", home)

	config := fmt.Sprintf(`{"auths":{%q:{"auth":"dTpzZWNyZXQ="}}}`, host) // u:secret
	if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}

	// It is let in, and there is no such image.
	refused(t, client(t, Config{}), host+"/shop/hello:1.0", fault.NotFound, "there is no image")
}
