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
)

// Instrument traces what rdb publishes, wherever in the program that is done: each
// PUBLISH and SPUBLISH on one of the given channels gets a producer span, and its
// payload an envelope that carries the context of that span.
//
// A client may be shared with libraries whose consumers cannot read envelopes.
// Therefore channels is not optional: it says of each channel whether all of its
// consumers can, and so do those of [WithFilter] and [WithEnvelopeFilter] that are
// among opts. It is asked at most once a message, possibly from several goroutines;
// a channel for which it panics is left as go-redis has it, and the error handler
// hears of it.
//
// rdb is a *redis.Client, *redis.ClusterClient or *redis.Ring; any other type is an
// error, and so are channels that are nil. Call it when the client is made and before
// it is used: what it has made before is not traced (a Conn; nodes of a cluster, as far
// as Watch is concerned), nor is a shard of a ring that is down at that moment. What
// WithTimeout returns has no hooks, and needs an Instrument of its own. A hook cannot be
// taken off again.
//
// Seen are Publish and SPublish, Do with any spelling of the command, pipelines,
// transactions, Watch and auto-pipelines. The command that the caller holds stays as
// the caller made it, arguments and all; a copy of it is sent. A command made with
// another Go type than Publish, Do and DoRaw use goes out bare, and so does one on a
// full-duplex auto-pipeline, where go-redis does not let a hook change what is sent:
// the span is there, the envelope is not, and the error handler hears of it once.
//
// Not seen are Lua scripts that publish; for them there is [Encode].
//
// The parent of a span is the span in the ctx that go-redis gives to hooks. In a
// pipeline that is the ctx of Exec. A half-duplex auto-pipeline has none, so that the
// spans are roots: whoever wants the caller's span to be the parent there calls
// [Publish] of this package.
//
// A pipeline that publishes has a create span for each message, and one send span of
// kind CLIENT for the batch, which links to them (the SDK keeps 128 links of a span, if
// not told otherwise) and tells the number of messages, how long the batch took, and the
// error of the first message that failed; see [WithBatchSpanOnly].
//
// A payload that is an envelope already goes out as it is, without a span of its own:
// it comes from [Publish], from another hook, or from a relay that passes on what it
// has received. In a pipeline it is one of the messages of the batch, whose send span
// links to the span context that it carries. Whoever lets strangers choose whole
// payloads lets them choose the trace context, too; [Publish] wraps whatever it is given.
//
// Of several hooks, the first that traces its channel has a message, and the others
// leave it alone, bare or not. So they do with what a [Client] sends bare (see
// [WithEnvelopeFilter]), but for what it puts into a pipeline: there a hook is not told.
func Instrument(rdb redis.UniversalClient, channels func(channel string) bool, opts ...Option) error {
	if channels == nil {
		return errors.New("tracedpubsub: Instrument needs to be told which channels, and got nil")
	}
	t := &tracing{cfg: newConfig(opts...), channels: channels}
	if v := reflect.ValueOf(rdb); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("tracedpubsub: cannot instrument a %T that is nil", rdb)
	}
	switch rdb := rdb.(type) {
	case *redis.Client:
		t.client = rdb
		rdb.AddHook(&hook{t, alone})
	case *redis.ClusterClient:
		rdb.AddHook(&hook{t, outside})
		// It has no nodes before its first command, and to ask for them would make some:
		// other instrumentation that waits for new ones would miss these.
		rdb.OnNewNode(t.addToNode)
	case *redis.Ring:
		rdb.AddHook(&hook{t, outside})
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

// NewHook returns the hook that [Instrument] installs in a *redis.Client, for the
// AddHook of a client of another type, or for a place of its own among other hooks.
// It does not know whose server it is, so that its spans do not tell. With channels
// that are nil it traces none.
//
// On a cluster or a ring it does not see all: what a ClusterClient publishes within
// Watch, and the method Publish of a Ring, go to a node without passing its hooks.
// Use Instrument for these.
func NewHook(channels func(channel string) bool, opts ...Option) redis.Hook {
	if channels == nil {
		channels = func(string) bool { return false }
	}
	return &hook{&tracing{cfg: newConfig(opts...), channels: channels}, alone}
}

// tracing is what the hooks of one Instrument have in common.
type tracing struct {
	cfg      *config
	channels func(channel string) bool
	client   *redis.Client // nil: one of several servers, or not known

	unchangeable, notSent sync.Once // a report of that kind was made
}

// traces asks the user's functions.
func (t *tracing) traces(channel string) (answer bool) {
	defer t.cfg.contain("Instrument or NewHook") // the answer is no, then: the consumers come first
	return t.channels(channel) && t.cfg.traces(channel)
}

func (t *tracing) addToNode(node *redis.Client) { node.AddHook(&hook{t, inside}) }

// place is where a hook is.
//
// A client of several servers has hooks, and so has the client of each of its nodes. Most
// commands pass both, one after the other, but some go straight to a node: those within
// Watch on a cluster, and Publish on a ring.
type place int

const (
	alone   place = iota // a command passes no other hook of the same tracing
	outside              // in a client of several servers
	inside               // in one of its nodes
)

// hook is a tracing at one place.
type hook struct {
	*tracing
	place place
}

var _ redis.Hook = (*hook)(nil)

// lookedAt is the key in the context of a command that a hook of a tracing has looked at.
type lookedAt struct{ by *tracing }

// first says whether no hook of the same tracing has looked at a command that publishes,
// and returns the context for what comes next.
func (h *hook) first(ctx context.Context) (context.Context, bool) {
	switch {
	case h.place == alone:
		return ctx, true
	case h.place == inside && ctx.Value(lookedAt{h.tracing}) != nil:
		return ctx, false
	default:
		return context.WithValue(ctx, lookedAt{h.tracing}, true), true
	}
}

// bareKey is the key in the context of a command that was traced and goes out bare; the
// value is its channel, for a hook may publish something else with that context.
type bareKey struct{}

// withBare makes hooks leave alone what is published on channel with ctx.
func withBare(ctx context.Context, channel string) context.Context {
	return context.WithValue(ctx, bareKey{}, channel)
}

// isBare says whether a [Client] or another hook has traced cmd and wants it to go out
// bare.
func isBare(ctx context.Context, cmd redis.Cmder) bool {
	bare, ok := ctx.Value(bareKey{}).(string)
	if !ok {
		return false
	}
	channel, ok := channelOf(cmd)
	return ok && channel == bare
}

// DialHook leaves dialing alone.
func (h *hook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook traces a single command.
func (h *hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		o := operationOf(cmd)
		if o == nil || isBare(ctx, cmd) {
			return next(ctx, cmd)
		}
		ctx, first := h.first(ctx)
		if !first {
			return next(ctx, cmd)
		}
		m := outgoing{cmd: cmd, operation: o}
		if _, ours := h.look(&m); !ours || m.envelope {
			return next(ctx, cmd)
		}
		m.template = h.cfg.templateOf(m.channel)
		return h.publish(ctx, &m, next)
	}
}

func (t *tracing) publish(ctx context.Context, m *outgoing, next redis.ProcessHook) error {
	start := t.spanOf(m, m.operation)
	ctx, span := t.cfg.telemetry.Start(ctx, &start)
	defer span.End()

	e := encoders.Get().(*encoder)
	t.begin(ctx, e, m)
	t.copy(ctx, e, m, &copies{left: 1})
	e.free()
	if m.bare || m.err != nil || m.sent == nil { // the next hook would take it for its own
		ctx = withBare(ctx, m.channel)
	}
	err := next(ctx, m.toSend())
	answered := m.takeOver()
	span.Returned(err)
	switch {
	case err != nil:
	case !answered:
		t.reportNotSent(m)
	case t.client != nil: // of several servers, the reply counts the clients of one
		if n, ok := m.receivers(); ok {
			span.SetReceivers(n)
		}
	}
	return err
}
