package spec

import (
	"fmt"
	"strings"
	"testing"
)

func TestValidators(t *testing.T) {
	t.Parallel()

	many := map[string]string{}
	for i := range maxLabels + 1 {
		many[fmt.Sprint("k", i)] = ""
	}

	label := func(k, v string) func(string, string) error {
		return func(field, _ string) error { return ValidateLabels(field, map[string]string{k: v}) }
	}
	textOf := func(most int) func(string, string) error {
		return func(field, s string) error { return ValidateText(field, s, most) }
	}
	lineOf := func(most int) func(string, string) error {
		return func(field, s string) error { return ValidateLine(field, s, most) }
	}

	good := []struct {
		check  func(string, string) error
		values []string
	}{
		{ValidateName, []string{"a", "a1-b", "0", strings.Repeat("a", 63)}},
		{ValidateVersionName, []string{"1.4.2", "v1.0.0-rc.1+build_5", "main", strings.Repeat("1", 128)}},
		{ValidateImageDigest, []string{"sha256:" + strings.Repeat("0af", 21) + "0"}},
		{ValidateEntityRef, []string{"group:default/payments", "Component:Default/My_service.x-1"}},
		{ValidateURL, []string{"http://a", "https://example.com:8443/a?b=c#d", "https://[::1]/"}},
		{textOf(12), []string{"", "héllo\n\twörld"}},
		{lineOf(5), []string{"", "héllo"}},
		{label("example.com/team", "a b"), []string{""}},
		{label("a_B.c", ""), []string{""}},
	}
	for i, g := range good {
		for _, v := range g.values {
			if err := g.check("field", v); err != nil {
				t.Errorf("%d %q: %v", i, v, err)
			}
		}
	}

	bad := []struct {
		name   string
		check  func(string, string) error
		values []string
	}{
		{"name", ValidateName, []string{"", "A", "-a", "a-", "a_b", "a.b", "a\n", strings.Repeat("a", 64)}},
		{"version", ValidateVersionName, []string{"", ".1", "-1", "1/2", "1 2", "1\n", "é", strings.Repeat("1", 129)}},
		{"digest", ValidateImageDigest, []string{"", "sha256:abc", "sha512:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("A", 64)}},
		{"entity ref", ValidateEntityRef, []string{"", "payments", "default/payments", "group:payments", "group:default/", "group:a b/c", "group:default/a/b", "1:default/a", "group:default/-a", "group:default/" + strings.Repeat("a", 64)}},
		{"url", ValidateURL, []string{"", "example.com", "ftp://a", "javascript:alert(1)", "http://", "http:///a", "https://u:p@a/", "http://a b", "http://a\u202e", "http://a/\n", "http://" + strings.Repeat("a", maxURL)}},
		{"text", textOf(3), []string{"\xff", "a\x00", "\x1b[1", "\x7f", "\u0085", "\u202e", "\u2066", "\u200f", "abcd"}},
		{"line", lineOf(3), []string{"a\nb", "a\tb", "\u2028", "\r"}},
		{"label key", label("a b", ""), []string{""}},
		{"label prefix", label("A/b", ""), []string{""}},
		{"label empty prefix", label("/b", ""), []string{""}},
		{"label empty", label("", ""), []string{""}},
		{"label value", label("a", "\n"), []string{""}},
		{"labels", func(field, _ string) error { return ValidateLabels(field, many) }, []string{""}},
	}

	var out strings.Builder

	for _, b := range bad {
		for _, v := range b.values {
			err := b.check("field", v)
			if err == nil {
				t.Errorf("%s %q: accepted", b.name, v)

				continue
			}

			fmt.Fprintf(&out, "%s %q\n\t%s\n", b.name, shorten(v), refusal(t, err))
		}
	}

	golden(t, "validate_refusals.txt", out.String())
}
