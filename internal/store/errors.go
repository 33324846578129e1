package store

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// lost reports whether the connection is gone, so that what was sent last may
// or may not have been done.
func lost(err error) bool {
	var network *net.OpError

	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &network)
}

// shutdown reports whether the server itself ended the connection or refuses
// new ones: classes 08 and 57P, too many connections, a standby.
func shutdown(err error) bool {
	if pe, ok := errors.AsType[*pq.Error](err); ok {
		return pe.Code.Class() == "08" || pe.Code == "57P01" || pe.Code == "57P02" || pe.Code == "57P03" || pe.Code == "57P05" ||
			pe.Code == "53300" || pe.Code == "25006"
	}

	return isSQLite(err, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
}

// cancelled reports whether Postgres ended a statement because its context was
// over.
func cancelled(err error) bool {
	var pe *pq.Error

	return errors.As(err, &pe) && pe.Code == "57014"
}

// unfit reports whether Postgres refuses a text that no column can hold: NUL
// or broken UTF-8.
func unfit(err error) bool {
	var pe *pq.Error

	return errors.As(err, &pe) && (pe.Code == "22021" || pe.Code == "22P05")
}

// full reports whether there is no room to write.
func full(err error) bool {
	if pe, ok := errors.AsType[*pq.Error](err); ok {
		return pe.Code == "53100"
	}

	return isSQLite(err, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
}

func isSQLite(err error, codes ...int) bool {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return false
	}

	for _, code := range codes {
		if se.Code()&0xff == code {
			return true
		}
	}

	return false
}
