package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shiplog/shiplog/internal/fault"
)

// maxShown bounds how many findings one refusal lists.
const maxShown = 20

// findings gathers refusals, so that a caller hears of all of them at once.
type findings struct {
	all []*fault.Error
}

func (f *findings) addf(field, format string, args ...any) {
	found := fault.Invalid(field, format, args...)
	if !slices.ContainsFunc(f.all, func(e *fault.Error) bool { return e.Field == found.Field && e.Message == found.Message }) {
		f.all = append(f.all, found)
	}
}

// err gives nil, the one finding, or one refusal of field that lists all.
func (f *findings) err(field, summary string) error {
	switch len(f.all) {
	case 0:
		return nil
	case 1:
		return f.all[0]
	}

	lines := make([]string, 0, len(f.all))
	for _, e := range f.all {
		lines = append(lines, e.Field+" "+e.Message)
	}

	slices.Sort(lines)

	more := ""
	if len(lines) > maxShown {
		more = fmt.Sprintf(" | and %d more", len(lines)-maxShown)
		lines = lines[:maxShown]
	}

	return fault.Invalid(field, "%s in %d places: %s%s", summary, len(f.all), strings.Join(lines, " | "), more)
}
