//go:build unix

// Package streams watches logs of real deployments as portals do, over
// WebSocket and event streams, while viewers are cut, stall, vanish and come
// back, and while the server and its database connections are disturbed.
//
// The server runs in the test's own process, or in one of its own where it is
// measured. What it deploys are real processes. All of them are this test
// binary, started again. Seeds are printed, and taken back as SHIPLOG_SEED. The
// sizes are those of every day; SHIPLOG_STREAMS=long (make test-streams-long)
// takes the large ones.
package streams

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shiplog/shiplog/deployer/process"
)

// patience bounds what is waited for.
const patience = 60 * time.Second

// TestMain makes the test binary the program that is executed again, and the
// application that is deployed, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "process-shim":
			syscall.Exit(process.RunShim(os.Args[2:]))
		case "process-proxy":
			syscall.Exit(process.RunProxy(os.Args[2:]))
		case "serve":
			syscall.Exit(serveAlone(os.Args[2:]))
		case "talk":
			syscall.Exit(talk(os.Args[2:]))
		case "hush":
			syscall.Exit(hush())
		case "wild":
			syscall.Exit(wild(os.Args[2]))
		}
	}

	goleak.VerifyTestMain(m)
}

// talk prints numbered lines with the time, so many and so many a second, then
// is ready: what it prints is all of its rollout.
func talk(args []string) int {
	lines, _ := strconv.Atoi(args[0])
	perSecond, _ := strconv.Atoi(args[1])
	out := bufio.NewWriter(os.Stdout)
	began := time.Now()

	for n := 1; n <= lines; n++ {
		if due := began.Add(time.Duration(n) * time.Second / time.Duration(perSecond)); time.Until(due) > 0 {
			if out.Flush() != nil {
				return 1
			}

			<-time.After(max(time.Until(due), 5*time.Millisecond)) // the pace of the application under test
		}

		fmt.Fprintf(out, "number %d at %d\n", n, time.Now().UnixMicro())
	}

	if out.Flush() != nil {
		return 1
	}

	return becomeReady()
}

// hush prints a line and says nothing more, nor is it ever ready.
func hush() int {
	fmt.Println("number 1 at", time.Now().UnixMicro())

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	<-signals

	return 0
}

// wild prints what no terminal should. In the middle of a line it waits for
// the file.
func wild(file string) int {
	fmt.Println("begin")
	fmt.Println(strings.Repeat("x", 1<<20))
	fmt.Println("a\x00b")
	fmt.Println("c\xff\xfed")
	fmt.Println(colours)
	fmt.Print("10%\r20%\r30%\n")
	fmt.Print("dos\r\n")
	fmt.Print(noNewline)

	for !exists(file) {
		<-time.After(10 * time.Millisecond) // as if for minutes
	}

	fmt.Print(strings.Repeat(stillNone, 9000))
	fmt.Println("\nend")

	return becomeReady()
}

func exists(file string) bool {
	_, err := os.Stat(file)

	return err == nil
}

const (
	colours   = "\x1b[31mred\x1b[0m \"quoted\" \\ back \u2028 sep"
	noNewline = "no newline, and no newline"
	stillNone = "still none "
)

func becomeReady() int {
	server := &http.Server{
		Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ready") }),
	}
	ended := make(chan error, 1)

	go func() { ended <- server.ListenAndServe() }()

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)

	select {
	case err := <-ended:
		log.Print(err)

		return 1
	case <-signals:
		return 0
	}
}

// long says whether the large sizes are wanted.
func long() bool { return os.Getenv("SHIPLOG_STREAMS") == "long" }

// random gives a source that can be had again.
func random(t *testing.T) *rand.Rand {
	t.Helper()

	seed, err := strconv.ParseUint(os.Getenv("SHIPLOG_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}

	t.Logf("seed %d (SHIPLOG_SEED)", seed)

	return rand.New(rand.NewPCG(seed, 0))
}
