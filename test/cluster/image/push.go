package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Push brings the image into a registry (HOST:PORT) under a name and a tag, and
// gives the reference by which it is pulled: HOST:PORT/NAME@sha256:….
// A registry on loopback is spoken to without TLS, as container runtimes do.
func (i *Image) Push(ctx context.Context, registry, name, tag string) (string, error) {
	base := scheme(registry) + "://" + registry + "/v2/" + name

	for _, blob := range [][]byte{i.layer, i.config} {
		if err := pushBlob(ctx, base, blob); err != nil {
			return "", fmt.Errorf("push %s/%s: %w", registry, name, err)
		}
	}

	if err := do(ctx, http.MethodPut, base+"/manifests/"+tag, manifestType, i.manifest, http.StatusCreated, nil); err != nil {
		return "", fmt.Errorf("push %s/%s:%s: %w", registry, name, tag, err)
	}

	return registry + "/" + name + "@" + i.Digest, nil
}

func pushBlob(ctx context.Context, base string, blob []byte) error {
	if do(ctx, http.MethodHead, base+"/blobs/"+digest(blob), "", nil, http.StatusOK, nil) == nil {
		return nil
	}

	var at string
	if err := do(ctx, http.MethodPost, base+"/blobs/uploads/", "", nil, http.StatusAccepted, &at); err != nil {
		return err
	}

	upload, err := url.Parse(at)
	if err != nil {
		return err
	}

	from, err := url.Parse(base)
	if err != nil {
		return err
	}

	upload = from.ResolveReference(upload)
	query := upload.Query()
	query.Set("digest", digest(blob))
	upload.RawQuery = query.Encode()

	return do(ctx, http.MethodPut, upload.String(), "application/octet-stream", blob, http.StatusCreated, nil)
}

// do sends a request, wants a status, and gives the Location of the answer.
func do(ctx context.Context, method, to, contentType string, body []byte, want int, location *string) error {
	request, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return err
	}

	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()

	text, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return err
	}

	if response.StatusCode != want {
		return fmt.Errorf("%s %s: %s: %s", method, to, response.Status, text)
	}

	if location != nil {
		*location = response.Header.Get("Location")
	}

	return nil
}

func scheme(registry string) string {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = registry
	}

	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return "http"
	}

	return "https"
}
