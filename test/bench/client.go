package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// answerTimeout bounds one answer.
const answerTimeout = 30 * time.Second

// conn is one HTTP connection that sends finished requests and reads little
// more than where an answer ends: it costs the machine as little as it can.
type conn struct {
	net  net.Conn
	read *bufio.Reader
	body []byte
}

func dial(address string) (*conn, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}

	return &conn{net: c, read: bufio.NewReaderSize(c, 64<<10)}, nil
}

func (c *conn) close() error { return c.net.Close() }

// request makes a finished POST.
func request(address, path, token string, body []byte) []byte {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: %d\r\n", path, address, len(body))
	if token != "" {
		head += "Authorization: Bearer " + token + "\r\n"
	}

	return append([]byte(head+"\r\n"), body...)
}

// do sends the request and gives the body of the answer, which is valid until
// the next one. An answer other than 200 is an error.
func (c *conn) do(request []byte) ([]byte, error) {
	if err := c.net.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}

	if _, err := c.net.Write(request); err != nil {
		return nil, err
	}

	status, err := c.line()
	if err != nil {
		return nil, err
	}

	ok := bytes.HasPrefix(status, []byte("HTTP/1.1 200"))
	first := string(status)
	length, chunked := int64(-1), false

	for {
		header, err := c.line()
		if err != nil {
			return nil, err
		}

		if len(header) == 0 {
			break
		}

		name, value, _ := bytes.Cut(header, []byte(": "))

		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return nil, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}

	c.body = c.body[:0]

	switch {
	case chunked:
		err = c.chunks()
	case length >= 0:
		err = c.take(length)
	default:
		err = errors.New("an answer of unknown length")
	}

	if err == nil && !ok {
		err = fmt.Errorf("%s: %.300s", first, c.body)
	}

	return c.body, err
}

func (c *conn) line() ([]byte, error) {
	line, err := c.read.ReadSlice('\n')

	return bytes.TrimRight(line, "\r\n"), err
}

func (c *conn) take(n int64) error {
	have := len(c.body)
	c.body = append(c.body, make([]byte, n)...)
	_, err := io.ReadFull(c.read, c.body[have:])

	return err
}

func (c *conn) chunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}

		n, err := strconv.ParseInt(string(line), 16, 64)
		if err != nil {
			return err
		}

		if err := c.take(n); err != nil {
			return err
		}

		if _, err := c.line(); err != nil || n == 0 {
			return err
		}
	}
}
