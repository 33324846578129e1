package kubernetes

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/shiplog/shiplog/deployer"
)

const (
	// tailLines bounds what is read ahead of a run; then the stream waits, and
	// the node keeps the lines.
	tailLines = 2000
	// tailIdle ends a tail that nobody has read for so long: another replica
	// observes now.
	tailIdle = time.Minute
	// maxLine is how long a line may be.
	maxLine = 32 << 10
)

// tail follows one run of a container: one stream from the node, whoever reads.
// What it has counted stays until a reader comes with a later position.
type tail struct {
	run

	site site

	cancel context.CancelFunc
	// some has one slot: lines have come, or the stream has ended.
	some chan struct{}
	// room has one slot: a reader has taken lines.
	room chan struct{}

	mu    sync.Mutex
	lines []counted
	// taken is what readers have gone past.
	taken segment
	// ended: the stream is over. complete: so is the run, and everything of it
	// has come.
	ended, complete bool
	err             error
	readAt          time.Time
}

// follow starts a tail after what was taken. over says that the run has ended
// already. The caller holds the deployer's lock.
func (d *Deployer) follow(s site, r run, after map[string]int64, over bool) *tail {
	ctx, cancel := context.WithCancel(context.Background())
	c := resume(r, after)
	t := &tail{
		run: r, site: s, cancel: cancel, some: make(chan struct{}, 1), room: make(chan struct{}, 1),
		taken: c.segment, readAt: time.Now(),
	}
	d.tails[r.prefix()] = t

	d.wg.Go(func() {
		defer cancel()

		err := t.stream(ctx, c, over, func() { d.changed(s.Unit) })

		t.mu.Lock()
		t.ended, t.complete, t.err = true, err == nil && over, err
		t.mu.Unlock()
		ring(t.some)
		d.changed(s.Unit)
	})

	return t
}

// stream takes lines from the node until it has no more.
func (t *tail) stream(ctx context.Context, c *counter, over bool, tell func()) error {
	options := &corev1.PodLogOptions{Container: t.container, Follow: !over, Previous: t.previous, Timestamps: true}

	if since := c.since(); !since.IsZero() {
		// Whole seconds are all that it understands.
		from := metav1.NewTime(since.Truncate(time.Second))
		options.SinceTime = &from
	}

	stream, err := t.site.typed.CoreV1().Pods(t.site.namespace).GetLogs(t.pod, options).Stream(ctx)
	if err != nil {
		return refusal("the output of "+t.pod, err)
	}
	defer stream.Close()

	in := bufio.NewReaderSize(stream, 64<<10)

	for {
		text, truncated, err := readLine(in)
		if errors.Is(err, io.EOF) && text == "" {
			return nil
		}

		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}

		l, ok := parse(text)
		if !ok {
			continue // the node speaks of itself: "unable to retrieve container logs"
		}

		l.text, l.truncated = strings.ToValidUTF8(strings.TrimSuffix(l.text, "\r"), "\uFFFD"), truncated

		if line, fresh := c.next(l); fresh {
			if err := t.put(ctx, line); err != nil {
				return err
			}

			tell()
		}
	}
}

// maxStamp is the longest time before a line.
const maxStamp = 64

// readLine reads a line without its end, cut where it is too long.
func readLine(in *bufio.Reader) (line string, truncated bool, err error) {
	var b strings.Builder

	for {
		part, more, err := in.ReadLine()
		if err != nil {
			return b.String(), truncated, err
		}

		room := maxLine + maxStamp - b.Len()
		if len(part) > room {
			part, truncated = part[:room], true
		}

		b.Write(part)

		if !more {
			text := b.String()
			if _, said, _ := strings.Cut(text, " "); len(said) > maxLine {
				text, truncated = text[:len(text)-len(said)+maxLine], true
			}

			return text, truncated, nil
		}
	}
}

// put adds a line when there is room.
func (t *tail) put(ctx context.Context, l counted) error {
	for {
		t.mu.Lock()
		if len(t.lines) < tailLines {
			t.lines = append(t.lines, l)
			t.mu.Unlock()
			ring(t.some)

			return nil
		}

		idle := time.Since(t.readAt) > tailIdle
		t.mu.Unlock()

		if idle {
			return context.Canceled
		}

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.room:
		case <-time.After(tailIdle):
		}
	}
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// read gives the lines after what was taken, or false when the tail stands
// elsewhere.
func (t *tail) read(after map[string]int64) ([]counted, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()

	t.readAt = time.Now()
	want := t.latest(after)

	n := 0
	for n < len(t.lines) && t.lines[n].position <= after[t.lines[n].key] {
		l := t.lines[n]
		t.taken = segment{start: l.segment.start, taken: l.position, gap: l.segment.gap}
		n++
	}

	t.lines = t.lines[n:]
	if n > 0 {
		ring(t.room)
	}

	if t.taken.start != want.start || t.taken.taken != want.taken {
		return nil, false
	}

	return append([]counted(nil), t.lines...), true
}

// line gives a counted line to the world.
func (t *tail) line(l counted) deployer.Line {
	gap := int64(0)
	if l.lost {
		gap = 1 // at least: nobody knows how many
	}

	return deployer.Line{
		Source: deployer.Source{
			Key: l.key, Deployment: t.deployment, Container: t.container, Instance: t.pod, Attempt: t.attempt,
		},
		Position: l.position, Time: l.at, Text: l.text, Truncated: l.truncated, Gap: gap,
	}
}
