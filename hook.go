// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
)

// Instrument traces what rdb publishes, wherever in the program that happens. Each message
// on one of the given channels gets a producer span, and is sent in an envelope that
// carries the context of the span.
//
// channels reports whether all consumers of a channel can read envelopes. It is required,
// because a client may be shared with libraries whose consumers cannot. [WithFilter] and
// [WithEnvelopeFilter] can exclude more channels. channels is called at most once for each
// message, possibly from several goroutines. If it panics, the message is sent as go-redis
// would send it, and the panic is reported to the error handler.
//
// Instrument returns an error if rdb is not a *redis.Client, *redis.ClusterClient or
// *redis.Ring, or if channels is nil. It adds a hook to rdb. A hook cannot be removed.
//
// Call Instrument right after you have created the client. These are not traced if they
// were created before: a Conn, the nodes of a cluster within Watch, and a shard of a Ring
// that is down at that moment. The client that WithTimeout returns has no hooks; call
// Instrument for it, too.
//
// # What is traced
//
// Publish, SPublish and Do are traced, also in pipelines, transactions, Watch and
// auto-pipelines. Lua scripts that publish are not traced; use [Encode] for their messages.
//
// The command of the caller keeps its arguments, and gets the reply. The hook sends a copy
// of it, with the envelope as the payload. In two cases it cannot: if the command has
// another Go type than those of Publish, Do and DoRaw, and on a full-duplex auto-pipeline,
// where a hook cannot change what go-redis sends. The message then has a span, but is sent
// without an envelope. The first message of each case is reported to the error handler.
//
// A hook that was added later may return without sending the command, for example because
// it queues messages. The span has the outcome that this hook returns: without an error it
// is that of a message that was sent, but it has no tracedpubsub.receivers.
//
// The parent of a span is the span in the context that go-redis passes to hooks. In a
// pipeline, that is the context of Exec. On a half-duplex auto-pipeline there is none, and
// the spans are roots; there, use [Publish] of this package, whose spans are children of the
// caller's span.
//
// In a pipeline, each message has a create span, and the batch has one send span of kind
// CLIENT. The send span links to the create spans; the SDK keeps 128 links of a span by
// default. It has the number of messages, the duration of the batch, and the error of the
// first message that failed. See also [WithBatchSpanOnly].
//
// # Payloads that are envelopes already
//
// A payload that is an envelope already is sent as it is, without a span of its own. It
// comes from [Publish], from another hook, or from a relay that sends what it has received.
// In a pipeline it counts as a message of the batch, and the send span links to the span
// context that it carries.
//
// If users can choose the whole payload, they can therefore choose the trace context, too.
// If you do not trust them, use [Publish], which puts every payload into an envelope.
//
// If several hooks trace a channel, the first one handles a message, and the others do not
// change it. A message that a [Client] sends without an envelope is not changed either (see
// [WithEnvelopeFilter]). In a pipeline, a hook cannot recognize such a message, and puts it
// into an envelope.
func Instrument(rdb redis.UniversalClient, channels func(channel string) bool, opts ...Option) error {
	if channels == nil {
		return errors.New("tracedpubsub: the channels given to Instrument are nil")
	}
	t := &tracing{cfg: newConfig(opts...), channels: channels}
	if v := reflect.ValueOf(rdb); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("tracedpubsub: cannot instrument a %T that is nil", rdb)
	}
	switch rdb := rdb.(type) {
	case *redis.Client:
		t.client = rdb
		rdb.AddHook(&hook{t, standalone})
	case *redis.ClusterClient:
		rdb.AddHook(&hook{t, cluster})
		// It has no nodes before its first command. A call of ForEachShard would create
		// them, and other instrumentation that calls OnNewNode later would miss them.
		rdb.OnNewNode(t.addToNode)
	case *redis.Ring:
		rdb.AddHook(&hook{t, cluster})
		rdb.OnNewNode(t.addToNode)
		return rdb.ForEachShard(context.Background(), func(_ context.Context, shard *redis.Client) error {
			t.addToNode(shard)
			return nil
		})
	default:
		return fmt.Errorf("tracedpubsub: cannot instrument a client of type %T", rdb)
	}
	return nil
}

// NewHook returns the hook that [Instrument] adds to a *redis.Client. It is for clients of
// other types, and for programs that set the order of their hooks. The hook does not know
// the server, so its spans have no server.address. If channels is nil, it traces nothing.
//
// For a cluster or a Ring, use Instrument. A hook of the client alone does not see the
// messages within Watch of a ClusterClient and those of the Publish method of a Ring, which
// go to a node directly.
func NewHook(channels func(channel string) bool, opts ...Option) redis.Hook {
	if channels == nil {
		channels = func(string) bool { return false }
	}
	return &hook{&tracing{cfg: newConfig(opts...), channels: channels}, standalone}
}

// tracing is the state that the hooks of one Instrument share.
type tracing struct {
	cfg      *config
	channels func(channel string) bool
	client   *redis.Client // nil: there are several servers, or the server is not known

	unsubstituted, ignored sync.Once // report the first message without its envelope
}

// traces reports whether a channel is traced. It is not if channels panics, since its
// consumers may not be able to read envelopes.
func (t *tracing) traces(channel string) (traced bool) {
	defer t.cfg.contain("the function given to Instrument or NewHook")
	return t.channels(channel) && t.cfg.traces(channel)
}

func (t *tracing) addToNode(client *redis.Client) { client.AddHook(&hook{t, node}) }

// level is the level of a client to which a hook is added.
//
// A client of several servers has hooks, and so has the client of each of its nodes. Most
// commands pass both, one after the other. Some go to a node directly: those within Watch of
// a cluster, and those of the Publish method of a Ring.
type level int

const (
	standalone level = iota // the only hook of its tracing that a command passes
	cluster                 // a client of several servers: a cluster or a Ring
	node                    // the client of one of these servers
)

// hook is a hook at one level. The hooks of all levels share a tracing.
type hook struct {
	*tracing
	level level
}

var _ redis.Hook = (*hook)(nil)

// inspectedKey is the context key that says that a hook of a tracing has inspected the
// command.
type inspectedKey struct{ by *tracing }

// first reports whether h is the first hook of its tracing that gets a command. It returns
// the context for the next hook.
func (h *hook) first(ctx context.Context) (context.Context, bool) {
	switch {
	case h.level == standalone:
		return ctx, true
	case h.level == node && ctx.Value(inspectedKey{h.tracing}) != nil:
		return ctx, false
	default:
		return context.WithValue(ctx, inspectedKey{h.tracing}, true), true
	}
}

// noEnvelopeKey is the context key that says that the command is traced, and sent without
// an envelope. The value is its channel, since another hook may publish on another channel
// with the same context.
type noEnvelopeKey struct{}

// withoutEnvelope returns a context with which hooks do not change what is published on
// channel.
func withoutEnvelope(ctx context.Context, channel string) context.Context {
	return context.WithValue(ctx, noEnvelopeKey{}, channel)
}

// isWithoutEnvelope reports whether a [Client] or another hook has traced cmd, and sends it
// without an envelope.
func isWithoutEnvelope(ctx context.Context, cmd redis.Cmder) bool {
	of, ok := ctx.Value(noEnvelopeKey{}).(string)
	if !ok {
		return false
	}
	channel, ok := rediscmd.ChannelOf(cmd)
	return ok && channel == of
}

// DialHook does nothing.
func (h *hook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook traces a single command.
func (h *hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		o := operationOf(cmd)
		if o == nil || isWithoutEnvelope(ctx, cmd) {
			return next(ctx, cmd)
		}
		ctx, first := h.first(ctx)
		if !first {
			return next(ctx, cmd)
		}
		m := newPublishCommand(cmd, o)
		if _, traced := h.inspect(&m); !traced || m.envelope {
			return next(ctx, cmd)
		}
		m.template = h.cfg.templateOf(m.channel)
		m.ignored = h.cfg.ledgers != nil && rediscmd.OnFullDuplex()
		return h.publish(ctx, &m, next)
	}
}

func (t *tracing) publish(ctx context.Context, m *publishCommand, next redis.ProcessHook) error {
	start := t.spanOf(m, m.operation)
	ctx, span := t.cfg.telemetry.Start(ctx, &start)
	defer span.End()

	e := encoders.Get().(*encoder)
	t.begin(ctx, e, m)
	t.substitute(ctx, e, m)
	e.free()
	if m.plain || m.err != nil || !m.Substituted() { // the next hook must not trace it, too
		ctx = withoutEnvelope(ctx, m.channel)
	}
	err := next(ctx, m.Sent())
	answered := m.TakeReply()
	span.Returned(err)
	switch {
	case err != nil:
	case !answered:
		t.reportIgnored(m)
	case t.client != nil: // in a cluster, the reply counts the clients of one node
		if n, ok := m.Receivers(); ok {
			span.SetReceivers(n)
		}
	}
	return err
}
