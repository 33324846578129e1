package limit

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// batchLines and batchWindow bound what is sent together.
	batchLines  = 100
	batchWindow = 20 * time.Millisecond
	// queued frames of a viewer; who does not read holds everybody up.
	queued = 256
)

// Fan shows the lines that it reads to everybody who subscribes from then on:
// each batch is encoded once, and all that waits for a viewer goes out with
// one system call. It stores nothing, checks nobody and loses nothing, and
// speaks just enough of graphql-transport-ws. What fanning out costs at least.
type Fan struct {
	upgrader websocket.Upgrader

	mu      sync.RWMutex
	viewers map[chan []byte]bool
}

// NewFan makes a fan; Run lets it read.
func NewFan() *Fan {
	return &Fan{upgrader: websocket.Upgrader{Subprotocols: []string{"graphql-transport-ws"}}, viewers: map[chan []byte]bool{}}
}

// ServeHTTP takes a viewer.
func (f *Fan) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	socket, err := f.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer socket.Close()

	frames := make(chan []byte, queued)
	defer f.leave(frames)

	for {
		var message struct{ Type string }
		if socket.ReadJSON(&message) != nil {
			return
		}

		switch message.Type {
		case "connection_init":
			if socket.WriteMessage(websocket.TextMessage, []byte(`{"type":"connection_ack"}`)) != nil {
				return
			}
		case "subscribe":
			frames <- frame([]string{"watching"})

			f.mu.Lock()
			f.viewers[frames] = true
			f.mu.Unlock()

			go func() {
				defer socket.Close()

				write(socket.NetConn(), frames)
			}()
		}
	}
}

// leave takes the viewer out and lets its writer end.
func (f *Fan) leave(frames chan []byte) {
	// A batch that waits for this viewer holds the lock.
	gone := make(chan struct{})
	defer close(gone)

	go func() {
		for {
			select {
			case <-frames:
			case <-gone:
				return
			}
		}
	}()

	f.mu.Lock()
	defer f.mu.Unlock()

	delete(f.viewers, frames)
	close(frames)
}

// write writes frames, all that wait at once.
func write(conn net.Conn, frames <-chan []byte) {
	together := make([][]byte, 0, 2*batchLines)

	for one := range frames {
		together = append(together[:0], one)

		for more := true; more && len(together) < cap(together); {
			select {
			case next, open := <-frames:
				if more = open; open {
					together = append(together, next)
				}
			default:
				more = false
			}
		}

		buffers := net.Buffers(together)
		if _, err := buffers.WriteTo(conn); err != nil {
			return
		}
	}
}

// Run shows the lines of the reader until it ends.
func (f *Fan) Run(ctx context.Context, from io.Reader) error {
	var (
		lines = make(chan string, 10*batchLines)
		ended = make(chan error, 1)
	)

	go func() {
		defer close(lines)

		all := bufio.NewScanner(from)
		for all.Scan() {
			select {
			case lines <- all.Text():
			case <-ctx.Done():
			}
		}

		ended <- all.Err()
	}()

	timer := time.NewTimer(batchWindow)
	defer timer.Stop()

	var batch []string

	for {
		select {
		case line, open := <-lines:
			if !open {
				f.show(batch)

				return <-ended
			}

			if len(batch) == 0 {
				timer.Reset(batchWindow)
			}

			if batch = append(batch, line); len(batch) < batchLines {
				continue
			}
		case <-timer.C:
		}

		f.show(batch)

		batch = batch[:0]
	}
}

// show hands a batch to every viewer.
func (f *Fan) show(batch []string) {
	if len(batch) == 0 {
		return
	}

	one := frame(batch)

	f.mu.RLock()
	defer f.mu.RUnlock()

	for viewer := range f.viewers {
		viewer <- one
	}
}

// frame is a WebSocket message with the lines.
func frame(lines []string) []byte {
	body, _ := json.Marshal(lines) //nolint:errchkjson // strings always marshal
	body = append(append([]byte(`{"id":"1","type":"next","payload":{"data":{"logs":`), body...), "}}}"...)

	head := []byte{0x81, byte(len(body))}

	switch {
	case len(body) > 1<<16-1:
		head = binary.BigEndian.AppendUint64([]byte{0x81, 127}, uint64(len(body)))
	case len(body) > 125:
		head = binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(body)))
	}

	return append(head, body...)
}
