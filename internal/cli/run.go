package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/shiplog/shiplog/internal/client"
)

// ServeOptions are the settings of a server as the command line knows them.
type ServeOptions struct {
	// Listen is the address, host and port.
	Listen string
	// Database is `sqlite:PATH` or a `postgres://` URL; "" means an embedded
	// SQLite below Data.
	Database string
	// Data is the directory of everything that the server keeps in files.
	Data string
	// Token is what callers must show; "" only with Dev.
	Token string
	// Dev opens the server to everybody on this machine and allows PROCESS
	// targets.
	Dev bool
	// Connections of KUBERNETES targets by name.
	Connections map[string]string
	// PlainRegistries are image registries that may be asked without TLS.
	PlainRegistries []string
	// StopProcesses ends the processes that were deployed when the server
	// ends; otherwise they run on and the next server adopts them.
	StopProcesses bool
	// Log takes the server's log.
	Log io.Writer
}

// Program is what the commands cannot do themselves: what main hands in.
type Program struct {
	// Version of the program.
	Version string
	// Serve runs a server until ctx ends and calls ready, once, with its base
	// URL when it answers.
	Serve func(ctx context.Context, options ServeOptions, ready func(url string)) error
	// Migrate brings the database up to date and says on out what it did.
	Migrate func(ctx context.Context, options ServeOptions, out io.Writer) error
	// Shim and Proxy are the programs that a process target runs beside what
	// it deploys; they return exit codes.
	Shim, Proxy func(args []string) int
	// Now is the clock and the zone in which times are shown.
	Now func() time.Time
}

// Streams are what a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// commands is the command line.
type commands struct {
	Server  string        `env:"SHIPLOG_SERVER" default:"http://127.0.0.1:8080" placeholder:"URL" help:"The server to speak to (${default}; $$${env})."`
	Token   string        `env:"SHIPLOG_TOKEN" placeholder:"TOKEN" help:"The token to show, or for serve the one to ask for ($$${env})."`
	Output  string        `short:"o" enum:"table,json" default:"table" help:"Print tables for people, or json: the data of the answer as it came."`
	Timeout time.Duration `placeholder:"DURATION" help:"Give up after this long. Without it one answer may take 30s, and waiting for a deployment takes as long as it takes."`

	Serve   serveCommand   `cmd:"" group:"server" help:"Run the server."`
	Demo    demoCommand    `cmd:"" group:"server" help:"Run a server and play a whole story on it: releases, a promotion, failures, a rollback."`
	Migrate migrateCommand `cmd:"" group:"server" help:"Bring the database up to date."`

	Service     serviceCommands     `cmd:"" group:"graph" help:"What is deployed."`
	Environment environmentCommands `cmd:"" aliases:"env" group:"graph" help:"Where it is deployed to."`
	Rule        ruleCommands        `cmd:"" group:"graph" help:"What is deployed by itself."`
	Config      configCommands      `cmd:"" group:"graph" help:"What a place adds to a workload."`

	Version versionCommands `cmd:"" group:"ci" help:"Builds of a service."`
	Check   checkCommands   `cmd:"" group:"ci" help:"Results of test suites and scans."`
	Record  recordCommand   `cmd:"" group:"ci" help:"Remember what somebody else deployed."`

	Deploy   deployCommand   `cmd:"" group:"act" help:"Deploy a version to an environment."`
	Promote  promoteCommand  `cmd:"" group:"act" help:"Deploy what is in place in one environment to another."`
	Redeploy redeployCommand `cmd:"" group:"act" help:"Repeat a deployment."`
	Rollback rollbackCommand `cmd:"" group:"act" help:"Go back to an earlier deployment, exactly as it was."`
	Undeploy undeployCommand `cmd:"" group:"act" help:"Take a service away from an environment."`
	Hold     holdCommands    `cmd:"" group:"act" help:"Pin services against rules."`
	Lock     lockCommand     `cmd:"" group:"act" help:"Lock an environment."`
	Unlock   unlockCommand   `cmd:"" group:"act" help:"Unlock an environment."`
	Cancel   cancelCommand   `cmd:"" group:"act" help:"Stop a deployment."`
	Resolve  resolveCommand  `cmd:"" group:"act" help:"Say what became of a step whose outcome is not known."`

	Where       whereCommand       `cmd:"" group:"ask" help:"Where is it running, now or at any past moment?"`
	Matrix      matrixCommand      `cmd:"" group:"ask" help:"Services × environments."`
	Journey     journeyCommand     `cmd:"" group:"ask" help:"A version's way through the environments."`
	History     historyCommand     `cmd:"" group:"ask" help:"What was deployed of a service, newest first."`
	Changes     changesCommand     `cmd:"" group:"ask" help:"What changed there in a span of time?"`
	Metrics     metricsCommand     `cmd:"" group:"ask" help:"How delivery went: how often, how fast, how safe, how soon restored."`
	Diff        diffCommand        `cmd:"" group:"ask" help:"What differs between two deployments, places or versions."`
	Deployments deploymentsCommand `cmd:"" group:"ask" help:"The memory of deployments, newest first."`
	Deployment  deploymentCommands `cmd:"" group:"ask" help:"One deployment."`
	Logs        logsCommand        `cmd:"" group:"ask" help:"The log of a deployment."`
	Wait        waitCommand        `cmd:"" group:"ask" help:"Wait for deployments and end by their outcome."`
	Events      eventsCommand      `cmd:"" group:"ask" help:"The journal of everything that was done."`
}

const description = `The memory of deployments, and the engine that makes them.

` + exitHelp

// Run carries out a command line (without the program's name) and returns its
// exit code. ctx ends when the person interrupts.
func Run(ctx context.Context, args []string, streams Streams, program Program) int {
	// What runs beside deployed processes starts often and is not for people.
	if len(args) > 0 {
		switch args[0] {
		case "process-shim":
			return program.Shim(args[1:])
		case "process-proxy":
			return program.Proxy(args[1:])
		}
	}

	var (
		line   commands
		exited = -1
	)

	parser, err := kong.New(&line,
		kong.Name("shiplog"), kong.Description(description),
		kong.Writers(streams.Out, streams.Err),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "server", Title: "The server:"},
			{Key: "graph", Title: "Set up:"},
			{Key: "ci", Title: "For CI:"},
			{Key: "act", Title: "Act:"},
			{Key: "ask", Title: "Ask:"},
		}),
	)
	if err != nil {
		return report(streams.Err, fmt.Errorf("the command line's own definition: %w", err))
	}

	if len(args) == 0 {
		args = []string{"--help"}
	}

	parsed, err := parser.Parse(args)

	switch {
	case exited >= 0: // --help has been printed
		return exited
	case err != nil:
		return report(streams.Err, usage("%v (see --help)", err))
	}

	s := &session{
		stdin: streams.In, out: streams.Out, err: streams.Err,
		json: line.Output == "json", colour: colourful(streams.Out), now: program.Now, timeout: line.Timeout,
	}

	s.client, err = client.New(client.Config{
		Server: line.Server, Token: line.Token, UserAgent: "shiplog/" + program.Version,
	})
	if err != nil {
		return report(streams.Err, usage("--server: %v", err))
	}
	defer s.client.Close()

	parsed.Bind(s, &line, program)
	parsed.BindTo(ctx, (*context.Context)(nil))

	err = parsed.Run()
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}

	return report(streams.Err, err)
}

// report prints an error in one line and gives its exit code.
func report(w io.Writer, err error) int {
	if err != nil {
		fmt.Fprintf(w, "shiplog: %v\n", err)
	}

	return exitCode(err)
}

// colourful reports whether w is a terminal and the person has nothing against
// colours (https://no-color.org).
func colourful(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}

	info, err := file.Stat()

	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
