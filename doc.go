// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package tracedpubsub carries trace context through Redis Pub/Sub.
//
// Redis gives a message no headers, so a trace ends where a message is published.
// This package puts the payload and the W3C trace context into one JSON envelope
// on publish, takes it apart on receive, and starts the spans on both sides. It is
// a thin layer over go-redis: it owns no connections but those of its
// subscriptions, and no global state.
//
// # Entry points
//
//   - [Publish] and [SPublish] stand in for the methods of the client that you have.
//   - [Subscribe], [PSubscribe] and [SSubscribe] return a [PubSub]. Range over
//     [PubSub.Messages], or give [PubSub.Process] a handler, and each message is
//     processed in a consumer span that is a child of the producer's. For select
//     loops there is [PubSub.Channel], for single messages [PubSub.ReceiveMessage];
//     with these, [Message.Start] begins the span.
//   - [Wrap] makes a [Client] that does the same with options.
//   - [Instrument] traces what a client publishes without calling this package, in
//     pipelines and transactions too, on the channels that it is told.
//   - [FromRedis] takes a message apart that another receive loop has received.
//   - [Encode] and [Decode] are the envelope alone, for Lua scripts, other clients
//     and tests.
//
// # On the wire
//
// A message is one JSON object. A payload that is a JSON document is embedded as
// it is, any other text is a string, and bytes that are no text are base64:
//
//	{"tracedpubsub":1,"traceparent":"00-…-01","payload":"hello"}
//	{"tracedpubsub":1,"traceparent":"00-…-01","size":8,"payload":{"id":7}}
//	{"tracedpubsub":1,"traceparent":"00-…-01","payload_base64":"//79"}
//
// What is not an envelope is delivered as it came, and so is an envelope that
// cannot be read, with [Message].Err saying why. Consumers with this package
// therefore understand publishers without it; the other way round they do not:
// roll out the consumers first, or see [WithEnvelopeFilter].
//
// # Guarantees
//
// The payload that a consumer gets is byte for byte what go-redis would have sent
// for what the publisher passed. This package loses no message that has reached
// it: not when a context ends, and not when a consumer is slow, for it stops
// reading then. A subscription goes on until it is closed; it reconnects, and
// subscribes again. What it could not hear meanwhile is lost, as Redis Pub/Sub
// delivers at most once; the error handler is told for how long it was deaf. After
// Close no goroutine is left.
//
// # What it does not do
//
// It adds no delivery guarantee, no acknowledgement, and no replay: for these, see
// Redis Streams. It does not trace Lua scripts that publish, or subscribers that do
// not call it. It makes no span for the receiving itself, as Redis pushes messages,
// and none for a pipeline as a whole but with [Instrument].
//
// # Trust
//
// Whoever may publish on a channel may write any trace context and any baggage
// into an envelope, and with the defaults consumers go by them: a forged sampled
// flag makes them record, a forged trace ID puts their spans into another trace.
// Where the publishers are not all yours, use [WithPublicEndpoint]. Baggage goes to
// all who may subscribe: put nothing secret into it.
package tracedpubsub
