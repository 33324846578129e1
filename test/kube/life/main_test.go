package life

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/shiplog/shiplog/server"
)

// TestMain makes the test binary the server that is killed, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		syscall.Exit(serve(os.Args[2], os.Args[3], os.Args[4]))
	}

	os.Exit(m.Run())
}

// serve runs a server with an embedded database, until SIGTERM.
func serve(address, dir, kubeconfig string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	err := server.Run(ctx, server.Config{
		Listen: address, Database: "sqlite:" + filepath.Join(dir, "shiplog.db"), Data: dir, Dev: true,
		Connections: map[string]string{"test": kubeconfig}, Program: []string{os.Args[0]}, Log: os.Stderr, Version: "test",
	}, func(string) {})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)

		return 1
	}

	return 0
}
