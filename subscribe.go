// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// Subscriber is what subscribes: a *redis.Client, *redis.ClusterClient,
// *redis.Ring, *redis.AutoPipeliner or redis.UniversalClient.
type Subscriber interface {
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
	PSubscribe(ctx context.Context, patterns ...string) *redis.PubSub
	SSubscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// Subscribe subscribes to channels, as rdb.Subscribe does: it connects and sends
// the command, and does not wait for the server to confirm it; see
// [PubSub.Ready]. If that fails, the subscription is there all the same and tries
// again once it is used. ctx counts for the connecting alone.
//
// The caller closes the subscription. It uses the global providers; see [Wrap]
// for options.
func Subscribe(ctx context.Context, rdb Subscriber, channels ...string) *PubSub {
	return defaultConfig.subscribe(ctx, rdb, subscription.Channels, channels)
}

// PSubscribe is [Subscribe] for patterns.
func PSubscribe(ctx context.Context, rdb Subscriber, patterns ...string) *PubSub {
	return defaultConfig.subscribe(ctx, rdb, subscription.Patterns, patterns)
}

// SSubscribe is [Subscribe] for sharded channels.
func SSubscribe(ctx context.Context, rdb Subscriber, channels ...string) *PubSub {
	return defaultConfig.subscribe(ctx, rdb, subscription.ShardChannels, channels)
}

// Subscribe is the function [Subscribe] with the options of c.
func (c *Client) Subscribe(ctx context.Context, channels ...string) *PubSub {
	return c.cfg.subscribe(ctx, c.rdb, subscription.Channels, channels)
}

// PSubscribe is the function [PSubscribe] with the options of c.
func (c *Client) PSubscribe(ctx context.Context, patterns ...string) *PubSub {
	return c.cfg.subscribe(ctx, c.rdb, subscription.Patterns, patterns)
}

// SSubscribe is the function [SSubscribe] with the options of c.
func (c *Client) SSubscribe(ctx context.Context, channels ...string) *PubSub {
	return c.cfg.subscribe(ctx, c.rdb, subscription.ShardChannels, channels)
}

// PubSub is a subscription. It goes on for as long as it is open: when the
// connection is lost, it reconnects and subscribes again, waiting up to a second
// between two attempts. What was published meanwhile is lost; the error handler
// hears of it (see [SubscriptionError]).
//
// Nothing is read before the first call that needs it. All methods are safe for
// concurrent use. Several loops over one PubSub are a pool of workers: each
// message goes to exactly one of them.
type PubSub struct {
	cfg    *config
	server []attribute.KeyValue
	sub    *subscription.Subscription

	messages chan *Message // read, and not yet handed over
	sending  sync.Mutex    // held to send on messages, and to close it
	done     chan struct{} // closed by Close
	closing  sync.Once
}

func (c *config) subscribe(ctx context.Context, rdb Subscriber, kind subscription.Kind, names []string) *PubSub {
	p := &PubSub{
		cfg:      c,
		server:   c.server(rdb),
		messages: make(chan *Message, c.channelSize),
		done:     make(chan struct{}),
	}
	p.sub = subscription.New(subscription.Config{Client: rdb, Deliver: p.deliver, Observer: observer{p}})
	// What goes wrong here comes out of Ready, or of the error handler.
	_ = p.sub.Subscribe(ctx, kind, names...)
	return p
}

// Ready waits until the server has confirmed all names that have been asked for
// so far. It returns ctx.Err() when ctx ends, an error that is redis.ErrClosed
// when the subscription is closed, and a [*SubscriptionError] when an attempt
// fails, that of the call that made the subscription included: the server refuses
// a name, or cannot be reached. The subscription goes on trying all the same. An
// error that Ready returns does not go to the error handler.
//
// The server confirms in line with the messages: when these wait for a consumer,
// so does Ready.
func (p *PubSub) Ready(ctx context.Context) error {
	err := p.sub.Ready(ctx)
	if f, ok := errors.AsType[*subscription.Failure](err); ok {
		return (*SubscriptionError)(f)
	}
	return err
}

// Subscribe adds channels to the subscription. A nil error means that they are
// asked for now, or as soon as there is a connection; [PubSub.Ready] waits for
// the server's word.
func (p *PubSub) Subscribe(ctx context.Context, channels ...string) error {
	return p.sub.Subscribe(ctx, subscription.Channels, channels...)
}

// PSubscribe is [PubSub.Subscribe] for patterns.
func (p *PubSub) PSubscribe(ctx context.Context, patterns ...string) error {
	return p.sub.Subscribe(ctx, subscription.Patterns, patterns...)
}

// SSubscribe is [PubSub.Subscribe] for sharded channels.
func (p *PubSub) SSubscribe(ctx context.Context, channels ...string) error {
	return p.sub.Subscribe(ctx, subscription.ShardChannels, channels...)
}

// Unsubscribe takes channels out of the subscription, all if none is given.
// Messages that are on their way may still come.
func (p *PubSub) Unsubscribe(ctx context.Context, channels ...string) error {
	return p.sub.Unsubscribe(ctx, subscription.Channels, channels...)
}

// PUnsubscribe is [PubSub.Unsubscribe] for patterns.
func (p *PubSub) PUnsubscribe(ctx context.Context, patterns ...string) error {
	return p.sub.Unsubscribe(ctx, subscription.Patterns, patterns...)
}

// SUnsubscribe is [PubSub.Unsubscribe] for sharded channels.
func (p *PubSub) SUnsubscribe(ctx context.Context, channels ...string) error {
	return p.sub.Unsubscribe(ctx, subscription.ShardChannels, channels...)
}

// Ping sends a PING on the connection of the subscription and does not wait for
// the answer. It returns an error where there is no connection.
func (p *PubSub) Ping(ctx context.Context, payload ...string) error {
	return p.sub.Ping(ctx, payload...)
}

// Close ends the subscription: its loops end, its channel is closed, its
// connection goes. It does not wait for consumers to finish what they have. It
// may be called from anywhere, and more than once. The error is always nil.
func (p *PubSub) Close() error {
	p.closing.Do(func() {
		close(p.done) // deliver lets go of messages
		p.sending.Lock()
		close(p.messages)
		p.sending.Unlock()
		p.sub.Close()
	})
	return nil
}

// String is for logs: the names that are subscribed to, as redis.PubSub has it.
func (p *PubSub) String() string {
	var names []string
	for _, kind := range []subscription.Kind{subscription.Channels, subscription.Patterns, subscription.ShardChannels} {
		names = append(names, p.sub.Topics(kind)...)
	}
	return fmt.Sprintf("PubSub(%s)", strings.Join(names, ", "))
}

// observer reports and counts what happens to a subscription.
type observer struct{ *PubSub }

func (o observer) Failed(err error)               { o.countError(err) }
func (o observer) Reconnected()                   { o.countReconnect() }
func (o observer) Report(f *subscription.Failure) { o.cfg.handle((*SubscriptionError)(f)) }
