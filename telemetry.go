// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

const (
	// ScopeName is the name of the instrumentation scope of all spans and metrics.
	ScopeName = "github.com/tracedpubsub/tracedpubsub"
	// Version is the version of this package, and of its instrumentation scope.
	Version = "0.1.0"
)

const (
	receiversKey = attribute.Key("tracedpubsub.receivers")
	envelopeKey  = attribute.Key("tracedpubsub.envelope")
)

// messagingSystem is a custom value: the conventions list no Redis yet.
var messagingSystem = semconv.MessagingSystemKey.String("redis")

// operation is what a span is about: publish, spublish, create, send or process.
type operation struct {
	name          string
	nameAttribute attribute.KeyValue
	typeAttribute attribute.KeyValue
	kind          trace.SpanStartOption
	names         spanNames
}

func newOperation(name string, operationType attribute.KeyValue, kind trace.SpanKind) *operation {
	return &operation{
		name:          name,
		nameAttribute: semconv.MessagingOperationName(name),
		typeAttribute: operationType,
		kind:          trace.WithSpanKind(kind),
	}
}

var (
	publishing  = newOperation("publish", semconv.MessagingOperationTypeSend, trace.SpanKindProducer)
	spublishing = newOperation("spublish", semconv.MessagingOperationTypeSend, trace.SpanKindProducer)
	creating    = newOperation("create", semconv.MessagingOperationTypeCreate, trace.SpanKindProducer)
	processing  = newOperation("process", semconv.MessagingOperationTypeProcess, trace.SpanKindConsumer)

	// A batch is sent as a client if its messages have spans of their own.
	sending         = newOperation("send", semconv.MessagingOperationTypeSend, trace.SpanKindClient)
	sendingMessages = newOperation("send", semconv.MessagingOperationTypeSend, trace.SpanKindProducer)
)

var newRoot = trace.WithNewRoot()

// spanStart is all that is known when a span starts, so that samplers see it.
type spanStart struct {
	operation *operation
	channel   string
	template  string               // "": none
	server    []attribute.KeyValue // of serverOf
	envelope  string               // "": nothing to say
	messages  int                  // of a batch; 0: it is about one message
	root      bool
	links     []trace.Link
	options   []trace.SpanStartOption // the caller's own
}

// startSpan starts the span that s describes.
func (c *config) startSpan(ctx context.Context, s *spanStart) (context.Context, trace.Span) {
	o, _ := c.starts.Get().(*startOptions)
	if o == nil {
		o = newStartOptions(c.attributes)
	}
	ctx, span := c.tracer().Start(ctx, spanName(s), o.fill(s)...)
	clear(o.options) // links may be many, and what the caller's options hold is theirs
	c.starts.Put(o)
	return ctx, span
}

func spanName(s *spanStart) string {
	destination := s.template
	if destination == "" {
		destination = s.channel
	}
	if destination == "" {
		return s.operation.name
	}
	return s.operation.names.of(s.operation.name, destination)
}

// spanNames remembers some of the names that were put together last. It does not
// grow, however many destinations there are: each has one place, where it makes
// way for the next that has the same.
type spanNames [256]atomic.Pointer[nameOf]

type nameOf struct{ destination, name string }

// longestKept is the longest destination that is remembered, in bytes.
const longestKept = 128

var nameSeed = maphash.MakeSeed()

func (n *spanNames) of(operation, destination string) string {
	if len(destination) > longestKept {
		return operation + " " + destination
	}
	place := &n[maphash.String(nameSeed, destination)%uint64(len(n))]
	if kept := place.Load(); kept != nil && kept.destination == destination {
		return kept.name
	}
	name := operation + " " + destination
	place.Store(&nameOf{name[len(operation)+1:], name})
	return name
}

// startOptions is the memory in which the options of a span are put together.
// It is used again for the next span: an option that sets attributes copies them
// when it is applied.
type startOptions struct {
	attributes []attribute.KeyValue // the fixed ones, then room for the others
	fixed      int
	sized      []trace.SpanStartOption // at n: sets the first n attributes
	options    []trace.SpanStartOption
}

// mostAttributes is how many attributes of our own a span has at its start.
const mostAttributes = 9

func newStartOptions(fixed []attribute.KeyValue) *startOptions {
	o := &startOptions{fixed: len(fixed)}
	o.attributes = append(make([]attribute.KeyValue, 0, len(fixed)+mostAttributes), fixed...)
	o.sized = make([]trace.SpanStartOption, cap(o.attributes)+1)
	return o
}

func (o *startOptions) fill(s *spanStart) []trace.SpanStartOption {
	a := append(o.attributes[:o.fixed], messagingSystem, s.operation.nameAttribute, s.operation.typeAttribute)
	if s.channel != "" {
		a = append(a, semconv.MessagingDestinationName(s.channel))
	}
	if s.template != "" {
		a = append(a, semconv.MessagingDestinationTemplate(s.template))
	}
	a = append(a, s.server...)
	if s.envelope != "" {
		a = append(a, envelopeKey.String(s.envelope))
	}
	if s.messages > 0 {
		a = append(a, semconv.MessagingBatchMessageCount(s.messages))
	}
	if o.sized[len(a)] == nil {
		o.sized[len(a)] = trace.WithAttributes(a...)
	}
	o.options = append(o.options[:0], s.operation.kind, o.sized[len(a)])
	if s.root {
		o.options = append(o.options, newRoot)
	}
	if len(s.links) > 0 {
		o.options = append(o.options, trace.WithLinks(s.links...))
	}
	o.options = append(o.options, s.options...)
	return o.options
}

// serverOf keeps the attributes that tell the server of a client. It is the
// address that is remembered, not the client: a client that is closed can go.
type serverOf struct {
	network, addr string
	attributes    []attribute.KeyValue
}

// server returns server.address and server.port of a *redis.Client. Any other
// publisher or subscriber has several servers, or does not tell which.
func (c *config) server(rdb any) []attribute.KeyValue {
	client, ok := rdb.(*redis.Client)
	if !ok || client == nil {
		return nil
	}
	opt := client.Options()
	if kept := c.servers.Load(); kept != nil && kept.addr == opt.Addr && kept.network == opt.Network {
		return kept.attributes
	}
	attributes := serverAttributes(opt.Network, opt.Addr)
	c.servers.Store(&serverOf{opt.Network, opt.Addr, attributes})
	return attributes
}

func serverAttributes(network, addr string) []attribute.KeyValue {
	// go-redis gives a Sentinel client this word in place of an address.
	if addr == "" || addr == "FailoverClient" {
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if network == "unix" || err != nil {
		return []attribute.KeyValue{semconv.ServerAddress(addr)}
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return []attribute.KeyValue{semconv.ServerAddress(host)}
	}
	return []attribute.KeyValue{semconv.ServerAddress(host), semconv.ServerPort(n)}
}

// fail says on span that its operation failed. The error is not recorded as an
// event: the conventions prefer status and error.type.
func fail(span trace.Span, errorType attribute.KeyValue, description string) {
	if !span.IsRecording() {
		return
	}
	span.SetStatus(codes.Error, description)
	span.SetAttributes(errorType)
}

// panicked is the error.type of what did not return.
var panicked = semconv.ErrorTypeKey.String("panic")

// failPanic says on span that what it stands for panicked.
func failPanic(span trace.Span, description string) { fail(span, panicked, description) }

var errorPrefix = regexp.MustCompile(`^[A-Z][A-Z0-9]{0,31}$`)

// publishErrorType is the error.type of a publish: the server's own word for it,
// else where it failed, else the type of the error.
func publishErrorType(err error) attribute.KeyValue {
	var timeout net.Error
	var answer redis.Error
	switch {
	case errors.As(err, &answer):
		prefix, _, _ := strings.Cut(answer.Error(), " ")
		if !errorPrefix.MatchString(prefix) {
			return semconv.ErrorTypeOther
		}
		return semconv.ErrorTypeKey.String(prefix)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, redis.ErrPoolTimeout),
		errors.As(err, &timeout) && timeout.Timeout():
		return semconv.ErrorTypeKey.String("timeout")
	case errors.Is(err, context.Canceled):
		return semconv.ErrorTypeKey.String("canceled")
	case isConnectionError(err):
		return semconv.ErrorTypeKey.String("connection")
	}
	return semconv.ErrorType(err)
}

func isConnectionError(err error) bool {
	var op *net.OpError
	var number syscall.Errno
	return errors.As(err, &op) || errors.As(err, &number) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed) || errors.Is(err, redis.ErrClosed)
}

func envelopeState(err error) string {
	switch {
	case errors.Is(err, ErrMalformedEnvelope):
		return "malformed"
	case errors.Is(err, ErrUnsupportedVersion):
		return "unsupported_version"
	case errors.Is(err, ErrCarrierTooLarge):
		return "carrier_too_large"
	}
	return ""
}
