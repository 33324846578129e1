package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// together is how many viewers connect at the same time.
	together = 20
	// drain is how long after its last line a log may still arrive.
	drain = 15 * time.Second
)

// delivery is what a crowd of viewers was shown of a log, and what it cost.
type delivery struct {
	// perSecond counts from the first line to the last one that was seen.
	perSecond     float64
	p50, p99      time.Duration
	lost, doubled int64
	// cpu of the server and of the database, and of the database alone, for
	// each line of each viewer.
	cpu, database time.Duration
	// memory of the server: the most during the delivery.
	memory int64
}

// source is a server with a log that a producer writes.
type source struct {
	pid, postmaster int
	// address is that of the server, producer the base URL of what writes.
	address, producer string
	document          string
	variables         object
}

// deliver shows lines at a rate to viewers.
func (s *source) deliver(ctx context.Context, viewers, lines, rate int) (d delivery, err error) {
	crowd, err := s.gather(ctx, viewers)

	defer func() {
		for _, v := range crowd {
			if v != nil {
				v.socket.Close()
			}
		}
	}()

	if err != nil {
		return d, err
	}

	var watching sync.WaitGroup

	errs := make([]error, viewers)

	for i, v := range crowd {
		watching.Go(func() { errs[i] = v.watch(int64(lines)) })
	}

	if err := s.warm(ctx, crowd); err != nil {
		return d, err
	}

	most := watchMemory(s.pid)
	used, database := cpu(s.pid), family(s.postmaster)
	began := time.Now()

	err = produce(ctx, s.producer, lines, rate)

	for _, v := range crowd {
		err = errors.Join(err, v.conn.SetReadDeadline(time.Now().Add(drain)))
	}

	watching.Wait()

	if failed := errors.Join(errs...); failed != nil {
		// It shows in what is lost; here is why.
		progress("viewers ended early: %.300s", failed)
	}

	byDatabase := since(database, family(s.postmaster))
	used = cpu(s.pid) - used + byDatabase
	d.memory = most()

	return d.count(crowd, int64(lines), began, used, byDatabase), err
}

// count adds up what the viewers saw.
func (d delivery) count(crowd []*viewer, lines int64, began time.Time, used, byDatabase time.Duration) delivery {
	var (
		late histogram
		got  int64
		last time.Time
	)

	for _, v := range crowd {
		for at, n := range v.late {
			late[at] += n
		}

		got += v.got
		d.doubled += v.doubled

		if v.last.After(last) {
			last = v.last
		}
	}

	d.lost = lines*int64(len(crowd)) - got
	d.perSecond = float64(got) / max(last.Sub(began), time.Millisecond).Seconds()
	d.p50, d.p99 = late.quantile(0.5), late.quantile(0.99)
	d.cpu, d.database = used/time.Duration(max(got, 1)), byDatabase/time.Duration(max(got, 1))

	return d
}

// gather connects the viewers.
func (s *source) gather(ctx context.Context, viewers int) ([]*viewer, error) {
	var (
		crowd   = make([]*viewer, viewers)
		errs    = make([]error, viewers)
		joining sync.WaitGroup
		places  = make(chan struct{}, together)
	)

	for i := range viewers {
		places <- struct{}{}

		joining.Go(func() {
			defer func() { <-places }()

			crowd[i], errs[i] = newViewer(ctx, s.address, s.document, s.variables)
		})
	}

	joining.Wait()

	return crowd, errors.Join(errs...)
}

// warm waits until every viewer has seen something.
func (s *source) warm(ctx context.Context, crowd []*viewer) error {
	deadline := time.Now().Add(patience)

	for i := 0; i < len(crowd); {
		if crowd[i].warm.Load() {
			i++

			continue
		}

		if time.Now().After(deadline) {
			return fmt.Errorf("viewer %d of %d sees nothing", i, len(crowd))
		}

		if err := rest(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}

	return nil
}

// watchMemory looks at a process' memory until the most is asked for.
func watchMemory(pid int) (most func() int64) {
	stop, peak := make(chan struct{}), make(chan int64)

	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()

		highest := resident(pid)

		for {
			select {
			case <-tick.C:
				highest = max(highest, resident(pid))
			case <-stop:
				peak <- max(highest, resident(pid))

				return
			}
		}
	}()

	return func() int64 {
		close(stop)

		return <-peak
	}
}
