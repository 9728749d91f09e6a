// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
)

// Subscriber opens subscriptions. *redis.Client, *redis.ClusterClient, *redis.Ring,
// *redis.AutoPipeliner and redis.UniversalClient implement it.
type Subscriber interface {
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
	PSubscribe(ctx context.Context, patterns ...string) *redis.PubSub
	SSubscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// Subscribe returns a subscription to channels. Like rdb.Subscribe, it connects and sends
// the command, but does not wait until the server has confirmed it; use [PubSub.Ready]
// for that. If it cannot connect, the subscription tries again when it is used. ctx is
// only for connecting; the subscription goes on when it is canceled later.
//
// On a cluster, channels of keyspace notifications are subscribed to on every master; see
// [PubSub].
//
// The caller must close the subscription, or shut it down. Subscribe uses the global
// providers; see [Wrap] for options.
func Subscribe(ctx context.Context, rdb Subscriber, channels ...string) *PubSub {
	return defaultConfig.subscribe(ctx, rdb, subscription.Channels, channels)
}

// PSubscribe is like [Subscribe], for patterns. On a cluster, patterns that begin with
// "__keyspace@" or "__keyevent@", or are obviously meant for keyspace notifications, such as
// "__key*__:*", are subscribed to on every master; see [PubSub].
func PSubscribe(ctx context.Context, rdb Subscriber, patterns ...string) *PubSub {
	return defaultConfig.subscribe(ctx, rdb, subscription.Patterns, patterns)
}

// SSubscribe is like [Subscribe], for sharded channels.
func SSubscribe(ctx context.Context, rdb Subscriber, channels ...string) *PubSub {
	return defaultConfig.subscribe(ctx, rdb, subscription.ShardChannels, channels)
}

// Subscribe is like the function [Subscribe], with the options of c.
func (c *Client) Subscribe(ctx context.Context, channels ...string) *PubSub {
	return c.cfg.subscribe(ctx, c.rdb, subscription.Channels, channels)
}

// PSubscribe is like the function [PSubscribe], with the options of c.
func (c *Client) PSubscribe(ctx context.Context, patterns ...string) *PubSub {
	return c.cfg.subscribe(ctx, c.rdb, subscription.Patterns, patterns)
}

// SSubscribe is like the function [SSubscribe], with the options of c.
func (c *Client) SSubscribe(ctx context.Context, channels ...string) *PubSub {
	return c.cfg.subscribe(ctx, c.rdb, subscription.ShardChannels, channels)
}

// PubSub is a subscription. Its methods have the names and the meaning of those of
// redis.PubSub.
//
// A PubSub stays subscribed until it is closed. If the connection is lost, it reconnects
// and subscribes again, and waits at most a second between two attempts. Messages that
// were published in the meantime are lost. The outage is reported to the error handler;
// see [SubscriptionError].
//
// If the client is closed, the subscription ends: that is reported once, and the
// subscription is closed as by [PubSub.Close], so that all loops end.
//
// A server sends keyspace notifications (on channels that begin with "__keyspace@" or
// "__keyevent@") only for its own keys. On a cluster, a PubSub subscribes to their channels and
// patterns on every master, with a connection to each, so that it receives all of them, and each
// once; redis.PubSub receives those of one node. It follows failovers, and masters that are added
// or removed; see docs/reliability.md. The same holds for patterns that begin with "__key" and
// match such channels, among others. Other patterns that match them, such as "*", receive the
// notifications of one node. The client must be a *redis.ClusterClient, and
// notify-keyspace-events must be set on each node. A message that is published on such a channel
// by hand is received once for each master.
//
// A PubSub counts what it has missed of publishers that account for their messages; see
// [WithAccounting]. [Message.Skipped] tells it at once, and tracedpubsub.delivery.lost when it
// is certain: 5 s after a later message of the same publisher and channel has arrived, without
// the time in which slow consumers kept the subscription from reading. What was missing for a
// shorter time when the subscription was closed is not counted. Counting begins
// with the first message of a publisher on a channel, and anew when the channel is subscribed
// to once more. At most 65,536 pairs of a publisher and a channel are kept; the one without
// messages for the longest time goes first.
//
// A PubSub reads nothing before the first call that needs a message or a confirmation.
// Until then it has no goroutine, except while it connects or sends a command.
//
// All methods are safe for concurrent use. Several loops over one PubSub form a
// worker pool: each message goes to exactly one of them.
type PubSub struct {
	cfg    *config
	server *telemetry.Server
	sub    *subscription.Subscription

	arrivals arrivals
	messages chan *Message // the buffer for consumers
	sending  sync.Mutex    // held to send on messages, and to close it
	sealed   bool          // messages is closed
	done     chan struct{} // closed by Close
	closing  sync.Once
	loops    atomic.Int64 // how many loops of Messages and Process run
	drained  atomic.Bool  // Shutdown waits for the consumers only
	finished atomic.Bool  // Shutdown has waited for them
	dropped  atomic.Int64 // how many messages Close has dropped
}

func (c *config) subscribe(ctx context.Context, rdb Subscriber, kind subscription.Kind, names []string) *PubSub {
	p := &PubSub{
		cfg:      c,
		server:   c.server(rdb),
		messages: make(chan *Message, c.channelSize),
		done:     make(chan struct{}),
	}
	p.arrivals.telemetry, p.arrivals.server = &c.telemetry, p.server
	p.sub = subscription.New(subscription.Config{
		Client: rdb, Deliver: p.deliver, Observer: observer{p}, PingSilence: c.healthCheckInterval,
	})
	// An error is returned by Ready, or reported to the error handler.
	_ = p.sub.Subscribe(ctx, kind, names...)
	return p
}

// Ready waits until the server has confirmed the subscription to all channels and
// patterns, and then returns nil: at once, if there is no outage. So it is the health check
// of the subscription as well. Call it with a timeout for that.
//
// If the server cannot be reached, or refuses a channel, Ready returns a
// [*SubscriptionError], as soon as an attempt to connect or to subscribe has failed. That may
// be the error of the call that created the subscription. The subscription keeps trying, and
// Ready may be called again. Shortly after an outage, Ready may still return its error.
// Ready returns redis.ErrClosed if the subscription is closed. If ctx is canceled first, it
// returns an error that wraps ctx.Err(), and the *SubscriptionError of the present outage if
// there is one.
//
// An error that Ready returns is not reported to the error handler, unless it is about
// channels that were received before.
//
// The server sends its confirmations in one stream with the messages. While messages
// wait for a consumer, Ready waits, too. So a handler that is the only consumer must not call
// Ready after it has subscribed to something, but another goroutine may.
func (p *PubSub) Ready(ctx context.Context) error {
	err := p.sub.Ready(ctx)
	var f *subscription.Failure
	switch {
	case !errors.As(err, &f):
		return err
	case errors.Is(err, ctx.Err()) && ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), (*SubscriptionError)(f))
	}
	return (*SubscriptionError)(f)
}

// Subscribe adds channels to the subscription. It returns when the command is sent. If
// there is no connection, it returns at once, and the channels are subscribed to on the
// next one. Use [PubSub.Ready] to wait for the confirmation.
//
// Before the first call that needs a message or a confirmation, nothing else connects. So
// Subscribe does, and returns the error if that fails; the channels are added all the same.
//
// Subscribe returns ctx.Err() if ctx is canceled, and redis.ErrClosed if the
// subscription is closed.
func (p *PubSub) Subscribe(ctx context.Context, channels ...string) error {
	return p.sub.Subscribe(ctx, subscription.Channels, channels...)
}

// PSubscribe is like [PubSub.Subscribe], for patterns.
func (p *PubSub) PSubscribe(ctx context.Context, patterns ...string) error {
	return p.sub.Subscribe(ctx, subscription.Patterns, patterns...)
}

// SSubscribe is like [PubSub.Subscribe], for sharded channels.
func (p *PubSub) SSubscribe(ctx context.Context, channels ...string) error {
	return p.sub.Subscribe(ctx, subscription.ShardChannels, channels...)
}

// Unsubscribe removes channels from the subscription, or all channels if none are
// given. Messages that the server has sent already may still be received. Loops do not end,
// since other channels may be added; use [PubSub.Shutdown] for that. An outage of
// these channels that is not over is reported to the error handler.
func (p *PubSub) Unsubscribe(ctx context.Context, channels ...string) error {
	return p.sub.Unsubscribe(ctx, subscription.Channels, channels...)
}

// PUnsubscribe is like [PubSub.Unsubscribe], for patterns.
func (p *PubSub) PUnsubscribe(ctx context.Context, patterns ...string) error {
	return p.sub.Unsubscribe(ctx, subscription.Patterns, patterns...)
}

// SUnsubscribe is like [PubSub.Unsubscribe], for sharded channels.
func (p *PubSub) SUnsubscribe(ctx context.Context, channels ...string) error {
	return p.sub.Unsubscribe(ctx, subscription.ShardChannels, channels...)
}

// Ping sends a PING on each connection of the subscription. It does not wait for the
// reply. Without channels and patterns it connects first, as redis.PubSub does. It returns
// an error if there is no connection.
func (p *PubSub) Ping(ctx context.Context, payload ...string) error {
	return p.sub.Ping(ctx, payload...)
}

// ClientSetName sets the name that the server shows for the connections of the subscription,
// for example in CLIENT LIST. Connections that replace them, and those to other servers of a
// cluster or Ring, get the same name. An empty name removes it.
//
// It returns when the command is sent, and does not wait for the reply. If there is no
// connection, it returns at once, and the next one gets the name. It returns ctx.Err() if
// ctx is canceled, and redis.ErrClosed if the subscription is closed.
//
// If the server refuses the name, that is reported to the error handler once, as a
// [*SubscriptionError] with [OpClientSetName]. With RESP2 (see redis.Options.Protocol) a
// server refuses every name on a connection with channels. The name is then that of the
// connection that replaces it. To set it from the start, create the subscription without
// channels, call ClientSetName, and then Subscribe.
func (p *PubSub) ClientSetName(ctx context.Context, name string) error {
	return p.sub.SetName(ctx, name)
}

// Close ends the subscription at once. It closes the connection and the channel of
// [PubSub.Channel], and ends all loops. Messages that no consumer has taken yet are
// dropped; use [PubSub.Shutdown] to handle them first. A lost connection that is not
// replaced yet is reported to the error handler. Close does not wait for loop bodies and
// handlers that are running.
//
// Close may be called more than once, and from anywhere, also from a loop body and from
// the error handler. It always returns nil.
func (p *PubSub) Close() error {
	p.closing.Do(func() {
		close(p.done) // deliver stops sending on messages
		p.seal()
		for range p.messages {
			p.dropped.Add(1)
		}
		p.sub.Close()
		p.arrivals.close()
	})
	return nil
}

// String returns the channels and patterns of the subscription, in the form of
// redis.PubSub. A name that is long or has non-printable characters is cut and quoted.
func (p *PubSub) String() string {
	var names []string
	for _, kind := range []subscription.Kind{subscription.Channels, subscription.Patterns, subscription.ShardChannels} {
		for _, name := range p.sub.Topics(kind) {
			names = append(names, printable(name))
		}
	}
	return fmt.Sprintf("PubSub(%s)", strings.Join(names, ", "))
}
