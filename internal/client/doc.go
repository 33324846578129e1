// Package client speaks to a Shiplog server as anybody would: GraphQL over
// HTTP POST for queries and mutations, graphql-transport-ws over a WebSocket
// for subscriptions.
//
// Do answers once. It sends a request again only when the answer was lost and
// repeating is harmless: a query, or a mutation with an idempotency key.
//
// Subscribe hands over every result in order, from the goroutine that called
// it, and returns when the stream completes, the callback fails, ctx ends or
// the server refuses. When the connection is lost it connects again and goes on
// after the last result that the callback took; nothing is skipped and nothing
// comes twice. That rests on the contract: every subscription takes the
// variable `after` and yields `cursor`.
//
// Goroutines: a subscription's connection has one reader, which owns all reads,
// and the caller's goroutine, which owns all writes. The reader hands messages
// over an unbuffered channel, so a slow callback slows the server's stream and
// loses nothing. Both end before Subscribe returns.
package client
