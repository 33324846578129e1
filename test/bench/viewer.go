package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// buckets of a histogram, each 5 % wider than the one before, from 1 µs.
const (
	buckets = 400
	wider   = 1.05
)

// histogram counts durations.
type histogram [buckets]int64

func (h *histogram) add(d time.Duration) {
	at := 0
	if us := float64(d.Microseconds()); us > 1 {
		at = min(buckets-1, int(math.Log(us)/math.Log(wider)))
	}

	h[at]++
}

func (h *histogram) quantile(q float64) time.Duration {
	var all, below int64
	for _, n := range h {
		all += n
	}

	for at, n := range h {
		if below += n; float64(below) >= q*float64(all) {
			return time.Duration(math.Pow(wider, float64(at)+0.5) * float64(time.Microsecond))
		}
	}

	return 0
}

// viewer reads a log over WebSocket and does little more than to find the
// lines' numbers and moments, which is what it must check.
type viewer struct {
	socket *websocket.Conn
	conn   net.Conn
	read   *bufio.Reader
	buffer []byte

	// warm: something has come, so the subscription stands.
	warm atomic.Bool
	late histogram
	// got lines, doubled and lost ones; next is the number that comes next.
	got, doubled, lost, next int64
	last                     time.Time
}

// newViewer connects and subscribes.
func newViewer(ctx context.Context, address, document string, variables object) (*viewer, error) {
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10}

	socket, response, err := dialer.DialContext(ctx, "ws://"+address+"/graphql", nil)
	if err != nil {
		return nil, err
	}

	response.Body.Close()

	v := &viewer{socket: socket, conn: socket.NetConn()}

	err = socket.WriteJSON(object{"type": "connection_init", "payload": object{"authorization": "Bearer " + token}})
	if err == nil {
		_, _, err = socket.ReadMessage()
	}

	if err == nil {
		err = socket.WriteJSON(object{"id": "1", "type": "subscribe", "payload": object{"query": document, "variables": variables}})
	}

	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}

	v.read = bufio.NewReaderSize(v.conn, 32<<10)

	return v, nil
}

// watch reads until it has so many lines, or the deadline that somebody sets.
func (v *viewer) watch(total int64) error {
	for v.next < total {
		opcode, body, err := v.frame()
		if err != nil {
			return err
		}

		switch opcode {
		case websocket.TextMessage:
			if err := v.take(body); err != nil {
				return err
			}
		case websocket.PingMessage:
			if err := v.socket.WriteControl(websocket.PongMessage, body, time.Now().Add(time.Second)); err != nil {
				return err
			}
		case websocket.CloseMessage:
			return fmt.Errorf("closed: %q", body)
		}
	}

	return nil
}

// frame reads a whole one; its body is valid until the next.
func (v *viewer) frame() (opcode int, body []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(v.read, head[:2]); err != nil {
		return 0, nil, err
	}

	opcode, size := int(head[0]&0xF), uint64(head[1]&0x7F)

	switch size {
	case 126:
		_, err = io.ReadFull(v.read, head[:2])
		size = uint64(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(v.read, head[:8])
		size = binary.BigEndian.Uint64(head[:8])
	}

	if err != nil {
		return 0, nil, err
	}

	if uint64(cap(v.buffer)) < size {
		v.buffer = make([]byte, size)
	}

	v.buffer = v.buffer[:size]
	_, err = io.ReadFull(v.read, v.buffer)

	return opcode, v.buffer, err
}

// Where a line's moment and number stand after its mark.
const (
	mark     = "@@"
	momentAt = len(mark)
	numberAt = momentAt + 19 + 1
	lineHead = numberAt + 10
)

// take counts the lines of a message.
func (v *viewer) take(body []byte) error {
	now := time.Now()

	if bytes.Contains(body[:min(len(body), 64)], []byte(`"error"`)) {
		return fmt.Errorf("refused: %.300s", body)
	}

	v.warm.Store(true)

	for {
		at := bytes.Index(body, []byte(mark))
		if at < 0 || len(body) < at+lineHead {
			return nil
		}

		due, err := strconv.ParseInt(string(body[at+momentAt:at+numberAt-1]), 10, 64)
		if err != nil {
			return err
		}

		number, err := strconv.ParseInt(string(body[at+numberAt:at+lineHead]), 10, 64)
		if err != nil {
			return err
		}

		body = body[at+lineHead:]

		if number < v.next {
			v.doubled++

			continue
		}

		v.lost += number - v.next
		v.next = number + 1
		v.got++
		v.last = now
		v.late.add(now.Sub(time.Unix(0, due)))
	}
}
