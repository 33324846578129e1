package spec_test

import (
	"strings"
	"testing"

	"github.com/shiplog/shiplog/internal/spec"
)

func TestValidateImageReference(t *testing.T) {
	t.Parallel()

	digest := "@sha256:" + strings.Repeat("0a", 32)

	for _, good := range []string{
		"redis", "redis:7", "library/redis:7.2-alpine", "localhost:5000/web", "localhost:5000/web:1.4.2",
		"registry.example/shop/check_out__x/a-b--c:V1_2.3", "10.0.0.1:5000/web" + digest, "web:1" + digest, "Registry.Example/shop/web",
	} {
		if err := spec.ValidateImageReference("image", good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}

	for _, bad := range []string{
		"", " ", "web 1", "main=registry.example/web:1", "registry.example/Shop/web", "web:", "web:" + strings.Repeat("a", 129),
		"https://registry.example/web", "web@sha256:12", "web:-1", "/web", "web/", "a//b", "web\x00", "../web", "web:1:2", "réseau/web",
		strings.Repeat("a/", 300) + "a",
	} {
		if err := spec.ValidateImageReference("image", bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
