package cli

import (
	"io"
	"strings"
	"unicode/utf8"
)

// style is an ANSI sequence; "" leaves the text plain.
type style string

const (
	plain  style = ""
	bold   style = "\x1b[1m"
	dim    style = "\x1b[2m"
	red    style = "\x1b[31m"
	green  style = "\x1b[32m"
	yellow style = "\x1b[33m"
	blue   style = "\x1b[36m"
	reset        = "\x1b[0m"
)

// cell is one field of a table.
type cell struct {
	text  string
	style style
}

func text(s string) cell { return cell{text: s} }

// table aligns columns by what is seen: escape sequences have no width (that is
// what text/tabwriter cannot do).
type table struct {
	colour bool
	rows   [][]cell
}

// header begins the table.
func (t *table) header(names ...string) {
	row := make([]cell, len(names))
	for i, name := range names {
		row[i] = cell{name, dim}
	}

	t.rows = append(t.rows, row)
}

// row adds a row.
func (t *table) row(cells ...cell) { t.rows = append(t.rows, cells) }

// write prints the table with two spaces between columns and none at the end
// of a line.
func (t *table) write(w io.Writer) error {
	var widths []int

	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}

			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}

	var out strings.Builder

	for _, row := range t.rows {
		gap := 0

		for i, c := range row {
			if c.text != "" {
				out.WriteString(strings.Repeat(" ", gap))
				out.WriteString(paint(c.text, c.style, t.colour))

				gap = 0
			}

			gap += widths[i] - utf8.RuneCountInString(c.text) + 2
		}

		out.WriteByte('\n')
	}

	_, err := io.WriteString(w, out.String())

	return err
}

// paint puts the style around the text where colour is wanted.
func paint(text string, s style, colour bool) string {
	if !colour || s == plain || text == "" {
		return text
	}

	return string(s) + text + reset
}

// statusStyle colours the words of the contract by what they mean.
func statusStyle(word string) style {
	switch word {
	case "SUCCEEDED", "IN_SYNC", "PASSED", "DEPLOY":
		return green
	case "FAILED", "ERRORED", "REJECTED", "MISSING", "UNREACHABLE", "VERSION_DIFFERS", "UNKNOWN_VERSION", "UNKNOWN":
		return red
	case "CANCELLED", "SUPERSEDED", "HOLD", "WAITING", "CONFIG_DIFFERS", "INCONCLUSIVE", "ROLLING":
		return yellow
	case "QUEUED", "RUNNING", "VERIFYING", "PENDING":
		return blue
	default:
		return plain
	}
}

// status is a cell with a word of the contract.
func status(word string) cell { return cell{word, statusStyle(word)} }
