// Package transport is how GraphQL requests get in: POST and GET by the
// GraphQL over HTTP specification, graphql-transport-ws over WebSocket, and
// graphql-sse in its distinct connections mode. It works on any executable
// schema of gqlgen.
//
// # Who waits for whom
//
// A WebSocket connection has a reader (the goroutine of the HTTP request), one
// writer, and one goroutine per operation. Only the writer writes to the
// connection. The others put frames into the connection's outbox, which is
// bounded in bytes: an operation waits for room before it asks for its next
// result and before it hands one over, so a peer that does not read stops its
// own operations and nothing else. The reader's own answers (acknowledgement,
// pong, refusals) have a reserve beyond that bound; when it is used up too the
// reader stops reading. A write that does not finish within WriteTimeout ends
// the connection.
//
// An event stream has one goroutine that pulls results and the goroutine of
// the HTTP request, which writes them; the former waits until the latter has
// written.
//
// The first reason to close a connection wins. It cancels the operations; the
// writer then writes what is in the outbox and the close frame, within
// closeTimeout. The reader leaves last, after all operations have ended.
//
// # Shared subscriptions
//
// Executing a subscription for every viewer costs more than writing to it. A
// [Sharer] may take a subscription over and yield results that are encoded
// once for all its viewers; what is left per viewer is a frame header and its
// part of one gathered write.
//
// # How a WebSocket connection ends
//
//	1000, …  what the client closed with
//	1009     a message larger than MaxMessage
//	1012     the server restarts: connect again
//	1013     too many connections of the caller, or admission is not possible now: try later
//	4400     a message that the protocol does not describe, a binary frame included
//	4401     subscribe before the acknowledgement; the admission was refused, has ended or was withdrawn
//	4403     the admission was refused with FORBIDDEN
//	4406     the client does not speak graphql-transport-ws
//	4408     no connection_init within InitTimeout
//	4409     the id of an operation that runs was used again
//	4429     a second connection_init
//
// Without a close frame end connections whose peer is silent for nearly two
// ping intervals or does not take a write within WriteTimeout. An operation
// over MaxOperations (100 by default) is refused alone, by an `error` message
// with the code RATE_LIMITED.
package transport
