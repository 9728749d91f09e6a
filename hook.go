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

// Instrument traces what rdb publishes, wherever in the program that happens: each PUBLISH
// and SPUBLISH on one of the given channels gets a producer span, and its payload an
// envelope that carries the context of that span.
//
// The function channels is required, because a client may be shared with libraries whose
// consumers cannot read envelopes. It reports whether all consumers of a channel can. The
// filters of [WithFilter] and [WithEnvelopeFilter] count as well. It is called at most once
// a message, possibly from several goroutines. If it panics, the message is sent as
// go-redis would send it, and the panic is reported to the error handler.
//
// Instrument returns an error if rdb is not a *redis.Client, *redis.ClusterClient or
// *redis.Ring, or if channels is nil. A hook cannot be removed.
//
// Call Instrument when the client is made and before it is used. What the client has made
// before is not traced: a Conn, the nodes of a cluster within Watch, and a shard of a ring
// that is down at that moment. The client that WithTimeout returns has no hooks, and needs
// an Instrument of its own.
//
// # What is traced
//
// Publish and SPublish are traced, Do with any spelling of the command, pipelines,
// transactions, Watch and auto-pipelines. Lua scripts that publish are not; use [Encode]
// for their messages.
//
// The caller's command keeps its arguments and gets the reply; what is sent is a copy of it
// with another payload. Two kinds of messages have a span, but are sent without an
// envelope, which is reported to the error handler once for each kind: those of a command
// whose Go type is not one that Publish, Do and DoRaw use, and those on a full-duplex
// auto-pipeline, where go-redis does not let a hook change what is sent.
//
// The parent of a span is the span in the context that go-redis gives to hooks. In a
// pipeline that is the context of Exec. A half-duplex auto-pipeline has none, so there the
// spans are roots; [Publish] of this package makes them children of the caller's span.
//
// A pipeline that publishes has a create span for each message, and one send span of kind
// CLIENT for the batch. The send span links to the create spans (the SDK keeps 128 links of
// a span by default) and has the number of messages, the duration of the batch, and the
// error of the first message that failed. See also [WithBatchSpanOnly].
//
// # Payloads that are envelopes already
//
// A payload that is an envelope already is sent as it is, without a span of its own: it
// comes from [Publish], from another hook, or from a relay that passes on what it has
// received. In a pipeline it counts as a message of the batch, and the send span links to
// the span context that it carries. Do not let clients that are not trusted choose whole
// payloads here, since they could choose the trace context, too; [Publish] puts every
// payload into an envelope.
//
// If several hooks trace a channel, the first one handles a message and the others do not
// change it. They do not change what a [Client] sends without an envelope either (see
// [WithEnvelopeFilter]), except in a pipeline, where a hook cannot know about it.
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
		// It has no nodes before its first command. To ask for them would make some, which
		// other instrumentation that waits for new nodes would miss.
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

// NewHook returns the hook that [Instrument] installs in a *redis.Client, for clients of
// another type, or for a certain place among other hooks. It does not know the server, so
// its spans have no server.address. If channels is nil, it traces nothing.
//
// Use Instrument for a cluster or a ring, where the hook of the client does not see all
// messages: those within Watch on a ClusterClient, and those of the method Publish of a
// Ring, go to a node directly.
func NewHook(channels func(channel string) bool, opts ...Option) redis.Hook {
	if channels == nil {
		channels = func(string) bool { return false }
	}
	return &hook{&tracing{cfg: newConfig(opts...), channels: channels}, standalone}
}

// tracing is what the hooks of one Instrument share.
type tracing struct {
	cfg      *config
	channels func(channel string) bool
	client   *redis.Client // nil: there are several servers, or it is not known

	unsubstituted, notSent sync.Once // has reported a message of that kind
}

// traces asks the functions of the user.
func (t *tracing) traces(channel string) (answer bool) {
	defer t.cfg.contain("Instrument or NewHook") // false then: its consumers may not read envelopes
	return t.channels(channel) && t.cfg.traces(channel)
}

func (t *tracing) addToNode(client *redis.Client) { client.AddHook(&hook{t, node}) }

// level is where a hook is installed.
//
// A client of several servers has hooks, and so has the client of each node. Most commands
// pass both, one after the other. Some go to a node directly: those within Watch on a
// cluster, and the method Publish of a ring.
type level int

const (
	standalone level = iota // a command passes no other hook of the same tracing
	cluster                 // in a client of several servers: a cluster or a ring
	node                    // in the client of one of its nodes
)

// hook is a tracing at one level.
type hook struct {
	*tracing
	level level
}

var _ redis.Hook = (*hook)(nil)

// inspectedKey is the context key of a command that a hook of a tracing has inspected.
type inspectedKey struct{ by *tracing }

// first reports whether no other hook of the same tracing has inspected a command that
// publishes. It returns the context for the next hook.
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

// noEnvelopeKey is the context key of a command that is traced and sent without an
// envelope. The value is its channel, since a hook may publish on another one with the
// same context.
type noEnvelopeKey struct{}

// withoutEnvelope returns a context with which hooks do not change what is published on
// channel.
func withoutEnvelope(ctx context.Context, channel string) context.Context {
	return context.WithValue(ctx, noEnvelopeKey{}, channel)
}

// isWithoutEnvelope reports whether a [Client] or another hook has traced cmd and sends it
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
	if m.plain || m.err != nil || !m.Substituted() { // the next hook would take it for its own
		ctx = withoutEnvelope(ctx, m.channel)
	}
	err := next(ctx, m.Sent())
	answered := m.TakeReply()
	span.Returned(err)
	switch {
	case err != nil:
	case !answered:
		t.reportNotSent(m)
	case t.client != nil: // of several servers, the reply counts the clients of one
		if n, ok := m.Receivers(); ok {
			span.SetReceivers(n)
		}
	}
	return err
}
