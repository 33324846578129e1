package kubernetes

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// maxLine is how long a line may be.
const maxLine = 32 << 10

// eachLine reads the lines of a container's output, with their times.
func eachLine(stream io.Reader, do func(l stamped) error) error {
	in := bufio.NewReaderSize(stream, 64<<10)

	for {
		text, truncated, err := readLine(in)
		if errors.Is(err, io.EOF) && text == "" {
			return nil
		}

		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}

		l, ok := parse(text)
		if !ok {
			continue // the node's own words, as that a file cannot be read
		}

		l.text, l.truncated = strings.ToValidUTF8(strings.TrimSuffix(l.text, "\r"), "\uFFFD"), truncated

		if err := do(l); err != nil {
			return err
		}
	}
}

// maxStamp is the longest time before a line.
const maxStamp = 64

// readLine reads a line without its end, cut where it is too long.
func readLine(in *bufio.Reader) (line string, truncated bool, err error) {
	var b strings.Builder

	for {
		part, more, err := in.ReadLine()
		if err != nil {
			return b.String(), truncated, err
		}

		room := maxLine + maxStamp - b.Len()
		if len(part) > room {
			part, truncated = part[:room], true
		}

		b.Write(part)

		if !more {
			text := b.String()
			if _, said, _ := strings.Cut(text, " "); len(said) > maxLine {
				text, truncated = text[:len(text)-len(said)+maxLine], true
			}

			return text, truncated, nil
		}
	}
}
