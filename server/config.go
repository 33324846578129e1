// Package server is how requests get in. It builds every room in order, hands
// them to each other, and ends them in the opposite order.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/shiplog/shiplog/server/transport"
)

// Config is the settings of a server. Zero values take the defaults.
type Config struct {
	// Listen is the address, 127.0.0.1:8080.
	Listen string
	// Database is sqlite:PATH or postgres://…; sqlite:DATA/shiplog.db.
	Database string
	// Data is the folder of files, ./.shiplog.
	Data string
	// Token is what callers must show; needed unless Dev.
	Token string
	// Dev opens the server to everybody on this machine and allows PROCESS
	// targets; it listens on loopback only.
	Dev bool
	// StopProcesses ends what PROCESS targets run when the server ends.
	StopProcesses bool
	// Connections of KUBERNETES targets by name: "in-cluster", or
	// KUBECONFIG[#CONTEXT].
	Connections map[string]string
	// PlainRegistries are hosts of image registries that may be asked without
	// TLS, beside loopback.
	PlainRegistries []string
	// RuntimeLogs is how long output is taken after a success, 10 minutes.
	RuntimeLogs time.Duration
	// PingInterval is how often streams are shown to be alive, 15 seconds: a
	// peer that is gone is noticed within two.
	PingInterval time.Duration
	// Version of the program.
	Version string
	// Program is how PROCESS targets execute this program again, os.Args[0]
	// resolved.
	Program []string
	// Log takes the structured log, standard error.
	Log io.Writer
	// Statement, when set, is called after every database statement: for
	// counting in tests.
	Statement func(ctx context.Context, query string, took time.Duration, err error)
}

// minToken keeps tokens that can be guessed out.
const minToken = 16

func (c Config) withDefaults() (Config, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:8080"
	}

	if c.Data == "" {
		c.Data = ".shiplog"
	}

	data, err := filepath.Abs(c.Data)
	if err != nil {
		return c, fmt.Errorf("data: %w", err)
	}

	c.Data = data
	if c.Database == "" {
		c.Database = "sqlite:" + filepath.Join(c.Data, "shiplog.db")
	}

	if c.Log == nil {
		c.Log = os.Stderr
	}

	if c.PingInterval == 0 {
		c.PingInterval = transport.DefaultConfig().PingInterval
	}

	if len(c.Program) == 0 {
		program, err := os.Executable()
		if err != nil {
			return c, fmt.Errorf("find this program: %w", err)
		}

		c.Program = []string{program}
	}

	return c, nil
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen: want HOST:PORT, not %q", c.Listen)
	}

	if c.Dev {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("listen: a server with dev listens on loopback only, not on %q", host)
		}

		return nil
	}

	if c.Token == "" {
		return errors.New("token: callers need one (SHIPLOG_TOKEN, or --token); on your own machine use --dev instead")
	}

	if len(c.Token) < minToken {
		return fmt.Errorf("token: want at least %d characters", minToken)
	}

	return nil
}
