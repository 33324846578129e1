package cli

import (
	"context"
	"errors"
	"fmt"
)

// serverFlags are the settings that the server's commands share.
type serverFlags struct {
	Database string `env:"SHIPLOG_DATABASE" placeholder:"URL" help:"sqlite:PATH or postgres://…; without it shiplog.db in --data ($$${env})."`
	Data     string `env:"SHIPLOG_DATA" default:".shiplog" placeholder:"DIR" help:"Where the server keeps its files (${default}; $$${env})."`
}

type serveCommand struct {
	serverFlags

	Listen        string            `env:"SHIPLOG_LISTEN" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen (${default}; $$${env})."`
	Dev           bool              `env:"SHIPLOG_DEV" help:"For trying it and for development machines: everybody on this machine may do everything, and PROCESS targets are allowed. Listens on loopback only ($$${env})."`
	Connections   map[string]string `name:"connection" env:"SHIPLOG_CONNECTIONS" mapsep:"," placeholder:"NAME=in-cluster|KUBECONFIG[#CONTEXT]" help:"A cluster for KUBERNETES targets: the one that the server runs in, or a kubeconfig file and one of its contexts; again for more, by commas in $$${env}."`
	PlainRegistry []string          `name:"plain-registry" env:"SHIPLOG_PLAIN_REGISTRIES" placeholder:"HOST[:PORT]" help:"An image registry that may be asked without TLS, beside those on this machine; again for more, by commas in $$${env}."`
	StopProcesses bool              `env:"SHIPLOG_STOP_PROCESSES" help:"End what was deployed to PROCESS targets when the server ends; otherwise it runs on, and the next server adopts it ($$${env})."`
}

// Help teaches by example.
func (serveCommand) Help() string {
	return `Examples:

  shiplog serve --dev
  SHIPLOG_TOKEN=… shiplog serve --listen 0.0.0.0:8080 --database postgres://shiplog@db/shiplog`
}

// Run serves until interrupted, which is a normal end.
func (c *serveCommand) Run(ctx context.Context, s *session, line *commands, program Program) error {
	err := program.Serve(ctx, ServeOptions{
		Listen: c.Listen, Database: c.Database, Data: c.Data, Dev: c.Dev, Token: line.Token,
		StopProcesses: c.StopProcesses, Connections: c.Connections, PlainRegistries: c.PlainRegistry, Log: s.err,
	}, func(url string) {
		fmt.Fprintf(s.err, "serving on %s – GraphQL at %s/graphql, GraphiQL at %s/graphiql\n", url, url, url)
	})
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}

	return err
}

type migrateCommand struct{ serverFlags }

// Help teaches by example.
func (migrateCommand) Help() string {
	return `Examples:

  shiplog migrate --database postgres://shiplog@db/shiplog`
}

// Run migrates.
func (c *migrateCommand) Run(ctx context.Context, s *session, program Program) error {
	return program.Migrate(ctx, ServeOptions{Database: c.Database, Data: c.Data, Log: s.err}, s.out)
}
