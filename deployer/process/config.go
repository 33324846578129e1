//go:build unix

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Config is what a Deployer needs to know. Zero values take the defaults.
type Config struct {
	// Dir holds everything. Several servers may share it.
	Dir string
	// Program is how to execute this binary again, before the subcommand:
	// {"/usr/local/bin/shiplog"}.
	Program []string
	// WorkDir is where processes run; the current directory by default, so
	// that a relative command means what it means in the user's shell.
	WorkDir string
	// Grace is the time between SIGTERM and SIGKILL (5 s).
	Grace time.Duration
	// Drain is how long a replaced instance goes on after the last new
	// connection was sent to it (500 ms: longer than most requests).
	Drain time.Duration
	// BackoffFirst and BackoffMax bound the wait before a restart (200 ms,
	// 10 s): quick enough for a typing error, slow enough for a laptop.
	BackoffFirst, BackoffMax time.Duration
	// SegmentBytes and Segments bound the output kept of a run (16 MiB, 8).
	SegmentBytes int64
	Segments     int
	// Retain is how many ended instances of a unit keep their output (10).
	Retain int
}

// Validate says which setting is wrong.
func (c Config) Validate() error {
	switch {
	case c.Dir == "":
		return errors.New("the process deployer needs a directory")
	case len(c.Program) == 0 || !filepath.IsAbs(c.Program[0]):
		return errors.New("the process deployer needs the absolute path of the program to execute again")
	case c.WorkDir != "" && !filepath.IsAbs(c.WorkDir):
		return fmt.Errorf("the working directory %q is not an absolute path", c.WorkDir)
	case c.Grace < 0 || c.Drain < 0 || c.BackoffFirst < 0 || c.BackoffMax < 0:
		return errors.New("a duration of the process deployer is negative")
	case c.SegmentBytes < 0 || c.Segments < 0 || c.Retain < 0:
		return errors.New("a bound of the process deployer is negative")
	}

	return nil
}

func (c Config) withDefaults() (Config, error) {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, fmt.Errorf("find the process deployer's directory: %w", err)
	}

	c.Dir = dir
	if c.WorkDir == "" {
		if c.WorkDir, err = os.Getwd(); err != nil {
			return c, fmt.Errorf("find the working directory: %w", err)
		}
	}

	c.Grace = orDefault(c.Grace, 5*time.Second)
	c.Drain = orDefault(c.Drain, 500*time.Millisecond)
	c.BackoffFirst = orDefault(c.BackoffFirst, 200*time.Millisecond)
	c.BackoffMax = orDefault(c.BackoffMax, 10*time.Second)
	c.SegmentBytes = orDefault(c.SegmentBytes, 16<<20)
	c.Segments = orDefault(c.Segments, 8)
	c.Retain = orDefault(c.Retain, 10)

	return c, nil
}

func orDefault[T int | int64 | time.Duration](value, fallback T) T {
	if value == 0 {
		return fallback
	}

	return value
}
