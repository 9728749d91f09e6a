// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package tracedpubsub carries OpenTelemetry trace context through Redis Pub/Sub, so that
// publishing a message and processing it are parts of one trace.
//
// A Redis message has no headers, so by itself a trace ends where a message is published.
// This package sends the payload and the trace context in one JSON envelope, decodes the
// envelope on the other side, and starts the spans on both. It is a thin layer over
// go-redis. It has no connection pool and no global state of its own.
//
// The README has a quick start, and the folder docs has pages about consumers, automatic
// instrumentation, telemetry, reliability, security, the wire format and migrating.
//
// # Publishing and consuming
//
//   - [Publish] and [SPublish] replace the methods of a client.
//   - [Subscribe], [PSubscribe] and [SSubscribe] return a [PubSub]. Range over
//     [PubSub.Messages], or pass a handler to [PubSub.Process]: each message is
//     processed in a consumer span, which is a child of the producer's span. Use
//     [PubSub.Channel] in a select loop, and [PubSub.ReceiveMessage] for a single
//     message; for these, [Message.Start] starts the span.
//   - [Wrap] returns a [Client] that does the same with options.
//   - [JSON] makes a payload of any value, and [Message.JSON] reads it.
//   - [Client.PublishTo] publishes with options into a pipeline or transaction.
//   - [Instrument] traces what a client publishes without calling this package, also in
//     pipelines and transactions, on the channels that you choose.
//   - [FromRedis] decodes a message that go-redis has received, and [NewMessage] that of
//     another client.
//   - [Encode] and [Decode] write and read an envelope, without Redis and without
//     spans. They are for Lua scripts, other clients and tests.
//
// # Options
//
// Options are given to [Wrap], [Instrument], [NewHook], [FromRedis], [NewMessage], [Encode]
// and [Decode]. Each has its default in its documentation.
//
//   - Where telemetry goes: [WithTracerProvider], [WithMeterProvider], [WithPropagators].
//   - What spans and metrics look like: [WithDestinationTemplate], [WithAttributes],
//     [WithRelation], and [WithBatchSpanOnly] for the hook.
//   - Which channels are traced, and which have envelopes: [WithFilter], [WithEnvelopeFilter].
//   - Which publishers are trusted: [WithPublicEndpoint].
//   - Which messages were missed: [WithAccounting], for publishers.
//   - How subscriptions work: [WithErrorHandler], [WithChannelSize], [WithHealthCheckInterval].
//   - Envelopes of another kind: [WithForeignEnvelope].
//
// # Wire format
//
// A message is one JSON object. A payload that is a JSON document is embedded as it
// is, other text becomes a string, and other bytes become base64:
//
//	{"tracedpubsub":1,"traceparent":"00-…-01","payload":"hello"}
//	{"tracedpubsub":1,"traceparent":"00-…-01","size":8,"payload":{"id":7}}
//	{"tracedpubsub":1,"traceparent":"00-…-01","payload_base64":"//79"}
//
// A message without an envelope is delivered unchanged. So is an envelope that
// cannot be decoded; the Err field of its [Message] says why. Consumers that use
// this package can therefore read all publishers, but other consumers receive the
// envelope as the payload. Deploy the consumers first, or see [WithEnvelopeFilter].
//
// # Guarantees
//
// A consumer gets the bytes that go-redis would have sent for the payload.
//
// A subscription does not lose messages that it has read. If a context is canceled, the
// next consumer gets the message. If consumers are slow, the subscription stops
// reading. Only [PubSub.Close] drops messages.
//
// A subscription reconnects and subscribes again until it is closed. Redis Pub/Sub
// delivers at most once, so messages that are published during an outage are lost. The
// error handler gets a report with the length of the outage. If publishers number their
// messages (see [WithAccounting]), [Message.Skipped] and metrics say how many were missed.
// Close leaves no goroutine behind.
//
// # What it does not do
//
// This package does not add acknowledgements, replay or any other delivery guarantee;
// Redis Streams have these. It does not trace Lua scripts that publish, or subscribers
// that do not use it. It starts no receive span, because Redis pushes messages. Without
// [Instrument], it starts no span for a pipeline as a whole.
//
// # Trust
//
// Every client that may publish on a channel can put any trace context and baggage
// into an envelope. By default, consumers use them: a forged sampled flag makes them
// record spans, and a forged trace ID puts their spans into another trace. If you do
// not trust all publishers, use [WithPublicEndpoint]. Every client that may subscribe
// can read the baggage, so it must not hold secrets.
package tracedpubsub
