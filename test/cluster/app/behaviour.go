package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// never is the time of what does not happen.
const never = time.Duration(math.MaxInt64)

// behaviour is what the variables say.
type behaviour struct {
	version, port  string
	readyAfter     time.Duration
	failProbeAfter time.Duration
	crash, eat     <-chan time.Time // nil: it does not
	code           *int
	lines          int // endless: -1
	rate           float64
	thenExit       bool
	ignoreTerm     bool
	drain          time.Duration
	listenAfter    time.Duration
	ask            string
	askRate        int
}

// read understands the variables, or tells all that it does not understand.
func read(env func(string) string) (behaviour, error) {
	var errs []error

	after := func(name string, otherwise time.Duration) time.Duration {
		switch text := env(name); text {
		case "":
			return otherwise
		case "never":
			return never
		default:
			d, err := time.ParseDuration(text)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}

			return d
		}
	}

	number := func(name string, otherwise int) int {
		text := env(name)
		if text == "" {
			return otherwise
		}

		n, err := strconv.Atoi(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}

		return n
	}

	b := behaviour{
		version: or(env("VERSION"), "dev"), port: or(env("PORT"), "8080"),
		readyAfter: after("READY_AFTER", 0), failProbeAfter: after("FAIL_PROBE_AFTER", never),
		crash: at(after("CRASH_AFTER", never)), eat: at(after("EAT_AFTER", never)),
		rate: float64(number("RATE", 0)), drain: after("DRAIN", 0),
		listenAfter: after("LISTEN_AFTER", 0), ask: env("ASK"), askRate: number("ASK_RATE", 50),
		thenExit: env("THEN_EXIT") != "", ignoreTerm: env("IGNORE_TERM") != "",
	}

	if env("EXIT_CODE") != "" {
		code := number("EXIT_CODE", 0)
		b.code = &code
	}

	if b.lines = -1; env("LINES") != "all" {
		b.lines = number("LINES", 0)
	}

	return b, errors.Join(errs...)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}

	return text
}

func at(after time.Duration) <-chan time.Time {
	if after == never {
		return nil
	}

	return time.After(after)
}

func (b behaviour) exitCode(otherwise int) int {
	if b.code != nil {
		return *b.code
	}

	return otherwise
}

// printLines prints the numbered lines. It catches up after a pause, so that the
// rate holds over time; what it has printed is written out before it waits.
func (b behaviour) printLines(to io.Writer) error {
	out := bufio.NewWriter(to)
	start := time.Now()

	for n := 1; b.lines < 0 || n <= b.lines; n++ {
		if b.rate > 0 {
			due := start.Add(time.Duration(float64(n-1) / b.rate * float64(time.Second)))
			if wait := time.Until(due); wait > 0 {
				if err := out.Flush(); err != nil {
					return err
				}

				<-time.After(wait)
			}
		}

		if _, err := fmt.Fprintf(out, "line %d of version %s\n", n, b.version); err != nil {
			return err
		}
	}

	return out.Flush()
}
