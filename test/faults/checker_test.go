package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/shiplog/shiplog/deployer"
	"github.com/shiplog/shiplog/ent/db"
	"github.com/shiplog/shiplog/ent/db/event"
	"github.com/shiplog/shiplog/ent/db/payload"
	"github.com/shiplog/shiplog/internal/journal"
	"github.com/shiplog/shiplog/internal/store"
	"github.com/shiplog/shiplog/internal/store/storetest"
)

// told is a deployment that was acknowledged, and what it has to come to.
type told struct {
	deployment

	works bool // its processes stay; otherwise they crash
}

// notebook is what the clients wrote down.
type notebook struct {
	mu   sync.Mutex
	told []told
}

func (n *notebook) write(d deployment, works bool) {
	n.mu.Lock()
	defer n.mu.Unlock()

	n.told = append(n.told, told{deployment: d, works: works})
}

// acknowledged counts what was told so far.
func (n *notebook) acknowledged() int {
	n.mu.Lock()
	defer n.mu.Unlock()

	return len(n.told)
}

// check compares what was told with the record, the logs and the processes.
// The replicas are running.
func (w *world) check(t *testing.T, n *notebook) {
	t.Helper()

	ctx := t.Context()
	ends := map[string]int{}
	services := map[string]bool{}

	for _, one := range n.told {
		d, err := w.await(ctx, one.ID, 90*time.Second, deployment.final)
		if err != nil {
			t.Fatal(err)
		}

		ends[d.Status]++
		services[d.Service.Name] = true

		w.checkEnd(t, one, d)
		w.checkLog(t, one.works, d)
	}

	t.Logf("%d acknowledged deployments ended: %v", len(n.told), ends)

	for service := range services {
		w.checkRunning(t, service)
	}

	w.checkNothingElse(t, services)
}

// checkEnd compares a deployment's end with what it had to come to.
func (w *world) checkEnd(t *testing.T, one told, d deployment) {
	t.Helper()

	right := []string{"SUCCEEDED", "SUPERSEDED"}
	if !one.works {
		right[0] = "FAILED"
	}

	if !slices.Contains(right, d.Status) || d.Version.Name != one.Version.Name || d.Service.Name != one.Service.Name {
		t.Errorf("deployment %s of %s %s is %s %s: %s; want one of %v of %s %s", d.ID, d.Service.Name, d.Version.Name,
			d.ID, d.Status, d.StatusReason, right, one.Service.Name, one.Version.Name)
	}

	if d.Status == "SUPERSEDED" {
		if d.SupersededBy == nil || d.SupersededBy.ID <= d.ID {
			t.Errorf("deployment %s was superseded by %+v, which is not newer", d.ID, d.SupersededBy)
		}

		if d.ActedAt != nil {
			t.Errorf("deployment %s was superseded although it had acted", d.ID)
		}
	}

	for _, s := range d.Steps {
		if s.Status == "PENDING" || s.Status == "RUNNING" || s.Status == "UNKNOWN" || s.Status == "SKIPPED" && d.Status == "SUCCEEDED" {
			t.Errorf("deployment %s is %s and its step %s is %s", d.ID, d.Status, s.Kind, s.Status)
		}
	}
}

// logLine is a line of a container's output.
type logLine struct {
	Text   string
	Stream string
	Source struct {
		Container, Instance string
		Attempt             int
	}
}

// output reads all lines of a deployment's containers.
func (w *world) output(ctx context.Context, id string) ([]logLine, int, error) {
	var lines []logLine

	gaps, after := 0, (*string)(nil)

	for {
		var answer struct {
			Deployment struct {
				Logs struct {
					Nodes    []logLine
					Gaps     []struct{ Reason string }
					PageInfo struct {
						HasNextPage bool
						EndCursor   *string
					}
				}
			}
		}

		err := w.read(ctx, `query($id: ID!, $after: Cursor) { deployment(id: $id) { logs(first: 500, after: $after, filter: {streams: [CONTAINER]}) {
			nodes { text stream source { container instance attempt } } gaps { reason } pageInfo { hasNextPage endCursor } } } }`,
			map[string]any{"id": id, "after": after}, &answer)
		if err != nil {
			return nil, 0, err
		}

		logs := answer.Deployment.Logs
		lines, gaps = append(lines, logs.Nodes...), gaps+len(logs.Gaps)

		if !logs.PageInfo.HasNextPage {
			return lines, gaps, nil
		}

		after = logs.PageInfo.EndCursor
	}
}

var numberOf = regexp.MustCompile(`^line (\d+)$`)

// checkLog: every attempt of every instance has said every number once, in
// order; a version that works was started once, and one that never acted not
// at all.
func (w *world) checkLog(t *testing.T, works bool, d deployment) {
	t.Helper()

	until := time.Now().Add(20 * time.Second)

	for {
		lines, gaps, err := w.output(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}

		wrong := wrongLines(lines, gaps, works, d.ActedAt != nil)
		if wrong == "" {
			return
		}

		if time.Now().After(until) {
			t.Errorf("the log of deployment %s (%s): %s", d.ID, d.Status, wrong)

			return
		}

		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func wrongLines(lines []logLine, gaps int, works, acted bool) string {
	type start struct {
		instance string
		attempt  int
	}

	last := map[start]int{}
	instances := map[string]bool{}

	for _, line := range lines {
		number := numberOf.FindStringSubmatch(line.Text)
		if number == nil {
			return fmt.Sprintf("unexpected line %q", line.Text)
		}

		n, err := strconv.Atoi(number[1])
		s := start{line.Source.Instance, line.Source.Attempt}

		if err != nil || n != last[s]+1 {
			return fmt.Sprintf("%v says %d after %d", s, n, last[s])
		}

		last[s] = n
		instances[line.Source.Instance] = true
	}

	for s, n := range last {
		if n != numbered {
			return fmt.Sprintf("%v ends at line %d of %d", s, n, numbered)
		}
	}

	switch {
	case gaps > 0:
		return fmt.Sprintf("%d gaps", gaps)
	case !acted && len(last) > 0:
		return fmt.Sprintf("it never acted, and %d processes were started", len(last))
	case acted && len(instances) != 1:
		return fmt.Sprintf("%d instances were made, want one", len(instances))
	case acted && works && len(last) != 1:
		return fmt.Sprintf("its process was started %d times, want once", len(last))
	}

	return ""
}

// checkRunning: exactly what is recorded runs.
func (w *world) checkRunning(t *testing.T, service string) {
	t.Helper()

	var answer struct {
		Placements struct {
			Nodes []struct{ Recorded *deployment }
		}
	}
	if err := w.read(t.Context(), "query($service: ID!, $place: ID!) { placements(filter: {service: $service, environment: $place}) { nodes { recorded { "+deploymentFields+" } } } }",
		map[string]any{"service": service, "place": place}, &answer); err != nil {
		t.Fatal(err)
	}

	var want string

	if nodes := answer.Placements.Nodes; len(nodes) == 1 && nodes[0].Recorded != nil && nodes[0].Recorded.Version != nil {
		want = service + "/" + nodes[0].Recorded.Version.Name
	}

	until := time.Now().Add(20 * time.Second) // what was replaced drains and ends

	for {
		wrong := w.wrongProcesses(t, service, want)
		if wrong == "" {
			return
		}

		if time.Now().After(until) {
			t.Error(wrong)

			return
		}

		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (w *world) wrongProcesses(t *testing.T, service, want string) string {
	t.Helper()

	seen, err := w.targets.Observe(t.Context(), deployer.Unit{Service: service, Environment: place})
	if err != nil {
		t.Fatal(err)
	}

	running := 0

	for content, pids := range w.pids(t) {
		if !belongs(content, service) {
			continue
		}

		running += len(pids)

		if content != want || len(pids) != 1 {
			return fmt.Sprintf("%d processes of %s run (%v), want one of %q", len(pids), content, pids, want)
		}
	}

	switch {
	case want == "" && (running > 0 || len(seen.Contents) > 0):
		return fmt.Sprintf("nothing of %s is recorded, and %d processes run: %+v", service, running, seen.Contents)
	case want != "" && (running != 1 || len(seen.Contents) != 1 || seen.Contents[0].Ready != 1 || seen.Contents[0].Desired != 1 ||
		service+"/"+seen.Contents[0].VersionName != want):
		return fmt.Sprintf("want one process of %s: %d run, the target says %+v", want, running, seen.Contents)
	}

	return ""
}

func belongs(content, service string) bool {
	return len(content) > len(service) && content[:len(service)] == service && content[len(service)] == '/'
}

// checkNothingElse: no process runs for a service that nobody deployed.
func (w *world) checkNothingElse(t *testing.T, services map[string]bool) {
	t.Helper()

	for content, pids := range w.pids(t) {
		known := false
		for service := range services {
			known = known || belongs(content, service)
		}

		if !known {
			t.Errorf("processes %v of %q run, which nobody deployed", pids, content)
		}
	}
}

// checkRecord opens the database, which no replica has open any more when it
// is embedded, and checks the journal: its chain, that what it says of every
// deployment is what the deployment's row says, and that no slot ever had two
// holders.
func (w *world) checkRecord(t *testing.T) *store.Store {
	t.Helper()

	s := storetest.OpenURL(t, w.database, nil)

	entries, err := journal.Verify(t.Context(), s)
	if err != nil {
		t.Error(err)
	}

	statuses := replay(t, s)

	rows, err := s.Read.Deployment.Query().All(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	for _, row := range rows {
		if said := statuses[row.ID]; said != string(row.Status) && row.Kind != "EXTERNAL" {
			t.Errorf("the journal says that deployment %s is %q, its row says %s", row.ID, said, row.Status)
		}
	}

	t.Logf("the journal has %d entries and its chain holds; %d deployments", entries, len(rows))

	return s
}

// replay plays the journal: it gives the last status of every deployment, and
// fails when two held the slot of a unit at once, or one was asked to stop twice
// for the same reason.
func replay(t *testing.T, s *store.Store) map[string]string {
	t.Helper()

	statuses, units, holders := map[string]string{}, map[string]string{}, map[string]string{}
	stops := map[string]string{}

	for _, e := range events(t, s) {
		switch e.Type {
		case "deployment.created":
			var made struct {
				Deployment  struct{ ID string }
				Service     string
				Environment string
			}
			decode(t, e, &made)

			statuses[e.Subject], units[e.Subject] = "QUEUED", made.Service+"/"+made.Environment
		case "deployment.stop_requested":
			// Only somebody who has something else to say is heard again.
			if stops[e.Subject] == e.content {
				t.Errorf("entry %d: deployment %s is asked to stop again: %s", e.Seq, e.Subject, e.content)
			}

			stops[e.Subject] = e.content
		case "deployment.status":
			var change struct{ From, To string }
			decode(t, e, &change)

			unit := units[e.Subject]

			if statuses[e.Subject] != change.From {
				t.Errorf("entry %d: deployment %s goes from %s to %s, and was %s", e.Seq, e.Subject, change.From, change.To, statuses[e.Subject])
			}

			statuses[e.Subject] = change.To

			switch d := (deployment{Status: change.To}); {
			case d.final():
				if holders[unit] == e.Subject {
					delete(holders, unit)
				}
			case change.To == "RUNNING" || change.To == "VERIFYING":
				if holder := holders[unit]; holder != "" && holder != e.Subject {
					t.Errorf("entry %d: deployment %s acts while %s holds the slot of %s", e.Seq, e.Subject, holder, unit)
				}

				holders[unit] = e.Subject
			}
		}
	}

	return statuses
}

// entry is an event with its payload.
type entry struct {
	*db.Event

	content string
}

func events(t *testing.T, s *store.Store) []entry {
	t.Helper()

	rows, err := s.Read.Event.Query().Order(event.BySeq()).All(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	var all []entry

	for chunk := range slices.Chunk(rows, 500) {
		ids := make([]string, len(chunk))
		for i, row := range chunk {
			ids[i] = row.ID
		}

		payloads, err := s.Read.Payload.Query().Where(payload.IDIn(ids...)).All(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		contents := map[string]string{}
		for _, p := range payloads {
			contents[p.ID] = *p.Content
		}

		for _, row := range chunk {
			all = append(all, entry{Event: row, content: contents[row.ID]})
		}
	}

	return all
}

func decode(t *testing.T, e entry, into any) {
	t.Helper()

	if err := json.Unmarshal([]byte(e.content), into); err != nil {
		t.Fatalf("entry %d: %v: %s", e.Seq, err, e.content)
	}
}
