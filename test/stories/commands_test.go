package stories

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds every wait of a story.
const patience = time.Minute

// commands are what the stories can do beside testscript's own commands, which
// must have other names: testscript takes its own first.
func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"serve":      serve,
		"shutdown":   shutdown,
		"crash":      crash,
		"exits":      exits,
		"eventually": eventually,
		"score":      score,
		"endpoint":   endpoint,
		"fetch":      fetch,
		"closed":     closed,
		"field":      field,
	}
}

// server is the story's server; process is nil while none runs.
type server struct {
	env     *testscript.Env
	process *exec.Cmd
	// ended is closed when its standard error has ended.
	ended chan struct{}
	// dirty: a server was killed, and what it deployed was not ended since.
	dirty bool
}

type serverKey struct{}

// setUp gives a story its settings, and sees to it that nothing of it is left:
// what a killed server left running is ended by one more server.
func setUp(env *testscript.Env, database string) error {
	path, err := exec.LookPath("shiplog")
	if err != nil {
		return err
	}

	env.Setenv("SHIPLOG_DATABASE", database)
	env.Setenv("SHIPLOG_DATA", filepath.Join(env.WorkDir, "data"))
	env.Setenv("SHIPLOG_DEV", "true")
	env.Setenv("SHIPLOG_STOP_PROCESSES", "true")
	env.Setenv("SHIPLOG_LISTEN", "127.0.0.1:0")
	env.Setenv("HELLO", filepath.Join(filepath.Dir(path), "hello"))
	env.Setenv("TZ", "UTC")

	s := &server{env: env}
	env.Values[serverKey{}] = s

	env.Defer(func() {
		if s.dirty && s.process == nil {
			if _, err := s.start(); err != nil {
				env.T().Log("a server to clean up: ", err)
			}
		}

		if err := s.end(syscall.SIGTERM); err != nil {
			env.T().Log("the server's end: ", err)
		}
	})

	return nil
}

func serverOf(ts *testscript.TestScript) *server {
	s, ok := ts.Value(serverKey{}).(*server)
	if !ok {
		ts.Fatalf("the story was not set up")
	}

	return s
}

// serve starts a server and waits until it says where it answers; the URL is in
// $SHIPLOG_SERVER from then on.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: serve")
	}

	s := serverOf(ts)

	url, err := s.start()
	ts.Check(err)
	ts.Setenv("SHIPLOG_SERVER", url)
}

// start starts a server and gives its URL.
func (s *server) start() (string, error) {
	if s.process != nil {
		return "", errors.New("a server is running already")
	}

	process := exec.Command("shiplog", "serve")
	process.Dir, process.Env = s.env.WorkDir, s.env.Vars

	output, err := process.StderrPipe()
	if err != nil {
		return "", err
	}

	if err := process.Start(); err != nil {
		return "", err
	}

	s.process, s.ended = process, make(chan struct{})
	found := make(chan string, 1)

	go func() {
		defer close(s.ended)

		lines := bufio.NewReader(output)

		for {
			line, err := lines.ReadString('\n')
			if rest, ok := strings.CutPrefix(line, "serving on "); ok {
				url, _, _ := strings.Cut(rest, " ")
				found <- url
			} else if line != "" {
				s.env.T().Log("server: ", strings.TrimSpace(line))
			}

			if err != nil {
				return
			}
		}
	}()

	select {
	case url := <-found:
		return url, nil
	case <-s.ended:
		return "", errors.New("the server did not start")
	case <-time.After(patience):
		return "", errors.New("the server did not answer")
	}
}

// end ends the server with a signal and waits for it.
func (s *server) end(signal syscall.Signal) error {
	if s.process == nil {
		return nil
	}

	process := s.process
	s.process = nil

	if err := process.Process.Signal(signal); err != nil {
		return err
	}

	<-s.ended

	err := process.Wait()
	if err == nil {
		s.dirty = false
	}

	return err
}

// shutdown ends the server as a person does; it must end well.
func shutdown(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: shutdown")
	}

	ts.Check(serverOf(ts).end(syscall.SIGTERM))
}

// crash ends the server at once. What it deployed runs on.
func crash(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: crash")
	}

	s := serverOf(ts)

	var killed *exec.ExitError
	if err := s.end(syscall.SIGKILL); !errors.As(err, &killed) {
		ts.Fatalf("the server was not killed: %v", err)
	}

	s.dirty = true
}

// exits runs a program that must end with the code: exits CODE PROGRAM ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}

	want, err := strconv.Atoi(args[0])
	ts.Check(err)

	got := 0

	var exited *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exited) {
		got = exited.ExitCode()
	} else {
		ts.Check(err)
	}

	if got != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// eventually runs a program until its output matches: eventually PATTERN PROGRAM
// ARG...
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN PROGRAM ARG...")
	}

	pattern, err := regexp.Compile(args[0])
	ts.Check(err)

	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()

	for until := time.Now().Add(patience); ; <-tick.C {
		ts.Check(ts.Exec(args[1], args[2:]...))

		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}

		if time.Now().After(until) {
			ts.Fatalf("%s: in vain for %s", strings.Join(args[1:], " "), args[0])
		}
	}
}

// score writes the workload of a version: score VERSION STARTUP gives
// hello-VERSION.yaml.
func score(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: score VERSION STARTUP")
	}

	template, err := os.ReadFile(filepath.Join(ts.Getenv("HELLO"), "score.yaml"))
	ts.Check(err)

	binary := filepath.Join(ts.Getenv("HELLO"), "hello-"+args[0])
	filled := strings.NewReplacer("@BINARY@", binary, "@STARTUP@", args[1]).Replace(string(template))
	ts.Check(os.WriteFile(ts.MkAbs("hello-"+args[0]+".yaml"), []byte(filled), 0o600))
}

// endpoint puts the address of what a deployment put in place into a variable:
// endpoint VARIABLE DEPLOYMENT.
func endpoint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: endpoint VARIABLE DEPLOYMENT")
	}

	ts.Check(ts.Exec("shiplog", "-o", "json", "deployment", "show", args[1]))

	var answer struct {
		Deployment struct{ Endpoints []struct{ URL string } }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &answer))

	if len(answer.Deployment.Endpoints) != 1 {
		ts.Fatalf("%d endpoints, want one", len(answer.Deployment.Endpoints))
	}

	ts.Setenv(args[0], answer.Deployment.Endpoints[0].URL)
}

// fetch asks a deployed service: fetch URL STATUS BODY.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: fetch URL STATUS BODY")
	}

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
	ts.Check(err)

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	answer, err := client.Do(request)
	ts.Check(err)
	defer answer.Body.Close()

	body, err := io.ReadAll(answer.Body)
	ts.Check(err)

	got := fmt.Sprintf("%d %s", answer.StatusCode, strings.TrimSpace(string(body)))
	if want := args[1] + " " + args[2]; got != want {
		ts.Fatalf("GET %s gives %q, want %q", args[0], got, want)
	}
}

// closed asks where a deployed service was, and must find nobody: closed URL.
func closed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: closed URL")
	}

	at, err := url.Parse(args[0])
	ts.Check(err)

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	connection, err := new(net.Dialer).DialContext(ctx, "tcp", at.Host)
	if err == nil {
		ts.Check(connection.Close())
	}

	if !errors.Is(err, syscall.ECONNREFUSED) {
		ts.Fatalf("%s: %v, want nobody there", args[0], err)
	}
}

// field puts a field of the last JSON document in a file into a variable: field
// VARIABLE FILE PATH, where PATH is names and numbers with dots between.
func field(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: field VARIABLE FILE PATH")
	}

	var value any

	decoder := json.NewDecoder(bytes.NewReader([]byte(ts.ReadFile(args[1]))))
	for {
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			break
		}

		ts.Check(err)
	}

	for name := range strings.SplitSeq(args[2], ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			ts.Check(err)

			if i >= len(v) {
				ts.Fatalf("%s: there is no element %d", args[2], i)
			}

			value = v[i]
		}
	}

	ts.Setenv(args[0], fmt.Sprint(value))
}
