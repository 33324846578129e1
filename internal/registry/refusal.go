package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/shiplog/shiplog/internal/fault"
)

// credentials is where a server takes them from.
const credentials = "the server takes credentials from its docker configuration (~/.docker/config.json, $DOCKER_CONFIG)"

// refusal gives the coded error for what a registry did. The same happening
// gives the same text, so that whoever waits says it once.
func refusal(reference, host string, limit time.Duration, err error) error {
	switch {
	case errors.Is(err, errRedirect):
		return fault.Wrap(err, fault.Forbidden, "registry %s, asked for %s, %s", host, reference, errRedirect)
	case errors.Is(err, errCircle):
		return fault.Wrap(err, fault.Unavailable, "registry %s, asked for %s, %s", host, reference, errCircle)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(err, fault.Unavailable, "registry %s gave no answer for %s within %s", host, reference, limit)
	}

	answered, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return fault.Wrap(err, fault.Unavailable, "registry %s cannot be asked for %s: %s", host, reference, why(err))
	}

	switch status := answered.StatusCode; {
	case status == http.StatusNotFound && ofManifest(answered.Request):
		return fault.Wrap(err, fault.NotFound, "there is no image %s at registry %s", reference, host)
	case status == http.StatusUnauthorized:
		return fault.Wrap(err, fault.Unauthenticated,
			"registry %s does not say what %s is without other credentials, or there is no such image; %s", host, reference, credentials)
	case status == http.StatusForbidden:
		return fault.Wrap(err, fault.Forbidden, "registry %s does not let this server see %s; %s", host, reference, credentials)
	case status == http.StatusBadRequest && ofManifest(answered.Request):
		return fault.Wrap(err, fault.InvalidInput, "registry %s takes %s for no image reference", host, reference)
	default:
		return fault.Wrap(err, fault.Unavailable, "registry %s, asked for %s, answered %d %s", host, reference, status, http.StatusText(status))
	}
}

// ofManifest: what is said of a token or of the registry itself says nothing
// about the image.
func ofManifest(r *http.Request) bool {
	return r != nil && strings.Contains(r.URL.Path, "/manifests/")
}

// why names the fault of a connection without what differs every time (ports,
// addresses that a name has).
func why(err error) string {
	if errors.Is(err, errPlain) { // with TLS came first, and failed
		return "it does not answer over TLS; without it only hosts of this machine are asked, and those that --plain-registry names"
	}

	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not trusted: " + certificate.Err.Error()
	}

	if unknown, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("its name %s is not resolved: %s", unknown.Name, unknown.Err)
	}

	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return failed.Op + ": " + failed.Err.Error()
	}

	return "it does not answer as registries do"
}

// incomplete reports whether a registry answered, only not with all that a
// HEAD should have.
func incomplete(err error) bool {
	_, failed := errors.AsType[*url.Error](err)

	return !failed && strings.Contains(err.Error(), "response did not include")
}
