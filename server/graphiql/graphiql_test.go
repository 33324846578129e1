package graphiql_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/shiplog/shiplog/server/graphiql"
)

func serve(t *testing.T) *httptest.Server {
	t.Helper()

	handler, err := graphiql.New(graphiql.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}

	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)

	return server
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()

	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()

	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}

	return resp, string(body)
}

func TestPageRefersOnlyToFilesOfItsOwn(t *testing.T) {
	t.Parallel()

	server := serve(t)
	resp, page := get(t, server.URL+"/graphiql")

	policy := resp.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("policy %q lacks %q", policy, part)
		}
	}

	if strings.Contains(policy, "unsafe") || strings.Contains(page, "//cdn") || strings.Contains(page, "https:") {
		t.Errorf("the page lets others in: %s\n%s", policy, page)
	}

	links := regexp.MustCompile(`(?:src|href)="(graphiql/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(links) != 7 {
		t.Fatalf("%d files are referred to, not 7", len(links))
	}

	for _, link := range links {
		resp, body := get(t, server.URL+"/"+link[1])
		if resp.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%s: %s", link[1], resp.Status)
		}

		if !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s may not be cached", link[1])
		}
	}
}

func TestModulesImportEmbeddedFiles(t *testing.T) {
	t.Parallel()

	server := serve(t)
	imports := regexp.MustCompile(`from '\./([^']+)'`)

	_, client := get(t, server.URL+"/graphiql/vendored/graphql-ws.js")

	found := imports.FindAllStringSubmatch(client, -1)
	if len(found) == 0 {
		t.Fatal("graphql-ws imports nothing: the pattern is out of date")
	}

	for _, name := range found {
		if resp, _ := get(t, server.URL+"/graphiql/vendored/"+name[1]); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", name[1], resp.Status)
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	t.Parallel()

	server := serve(t)

	for _, path := range []string{"/graphiql/vendored/", "/graphiql/page/index.html", "/graphiql/nothing", "/graphiql/../go.mod"} {
		if resp, _ := get(t, server.URL+path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}

	resp, err := http.Post(server.URL+"/graphiql", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()

	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", resp.Status)
	}
}
