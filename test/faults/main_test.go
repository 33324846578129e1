// Package faults tries the program with what goes wrong: replicas that are
// killed, stopped and cut off, a database that loses its answers, is gone or
// says nothing, and targets whose outcome nobody knows.
//
// The replicas are processes of the built program. Clients write down what
// they asked and what they were told; afterwards a checker compares that with
// the program's own record, with the journal, and with the processes that run.
//
// Everything random comes from one seed, which is printed and taken back:
//
//	go run ./test/withpostgres go test ./test/faults -seed 42
//
// (or SHIPLOG_SEED=42). The sizes are those of every day; SHIPLOG_FAULTS=long
// (make test-faults-long) takes the large ones.
package faults

import (
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// settings are what all tests share; they are set before the first one runs.
type settings struct {
	program string
	seed    uint64
	long    bool
}

// shared gives the settings, which TestMain leaves in the environment.
func shared(t *testing.T) settings {
	t.Helper()

	seed, err := strconv.ParseUint(os.Getenv("SHIPLOG_SEED"), 10, 64)
	if err != nil {
		t.Fatal("SHIPLOG_SEED: ", err)
	}

	return settings{program: os.Getenv("SHIPLOG_FAULTS_PROGRAM"), seed: seed, long: os.Getenv("SHIPLOG_FAULTS") == "long"}
}

// size is the short or the long form of a number.
func (s settings) size(short, long int) int {
	if s.long {
		return long
	}

	return short
}

// last is the short or the long form of a duration.
func (s settings) last(short, long time.Duration) time.Duration {
	if s.long {
		return long
	}

	return short
}

// random gives a source of its own for a stream of the seed.
func (s settings) random(t *testing.T, stream uint64) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", s.seed)

	return rand.New(rand.NewPCG(s.seed, stream))
}

// The test binary is also a service that takes its time.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == lateService {
		os.Exit(serveLate(os.Args[2]))
	}

	os.Exit(buildAndRun(m))
}

const lateService = "late-service"

// serveLate writes the numbered lines and is ready after a while.
func serveLate(after string) int {
	for i := range numbered {
		fmt.Printf("line %d\n", i+1)
	}

	wait, err := time.ParseDuration(after)
	if err != nil {
		log.Print(err)

		return 1
	}

	<-time.After(wait)

	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: time.Second, Handler: http.NotFoundHandler()}
	log.Print(server.ListenAndServe())

	return 1
}

// buildAndRun builds the program, leaves the settings in the environment and
// runs the tests.
func buildAndRun(m *testing.M) int {
	given := flag.Uint64("seed", 0, "repeat what a run with this seed did")

	flag.Parse()

	dir, err := os.MkdirTemp("", "shiplog-faults-")
	if err != nil {
		log.Print(err)

		return 1
	}
	defer os.RemoveAll(dir)

	if err := prepare(dir, *given); err != nil {
		log.Print(err)

		return 1
	}

	return m.Run()
}

func prepare(dir string, seed uint64) error {
	if seed != 0 {
		if err := os.Setenv("SHIPLOG_SEED", strconv.FormatUint(seed, 10)); err != nil {
			return err
		}
	}

	if os.Getenv("SHIPLOG_SEED") == "" {
		if err := os.Setenv("SHIPLOG_SEED", strconv.FormatUint(rand.Uint64(), 10)); err != nil {
			return err
		}
	}

	fmt.Println("SHIPLOG_SEED=" + os.Getenv("SHIPLOG_SEED"))

	program := filepath.Join(dir, "shiplog")
	if out, err := exec.Command("go", "build", "-o", program, "../..").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}

	return os.Setenv("SHIPLOG_FAULTS_PROGRAM", program)
}
