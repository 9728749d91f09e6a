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
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
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
	return defaultConfig.subscribe(ctx, rdb, toChannels, channels)
}

// PSubscribe is [Subscribe] for patterns.
func PSubscribe(ctx context.Context, rdb Subscriber, patterns ...string) *PubSub {
	return defaultConfig.subscribe(ctx, rdb, toPatterns, patterns)
}

// SSubscribe is [Subscribe] for sharded channels.
func SSubscribe(ctx context.Context, rdb Subscriber, channels ...string) *PubSub {
	return defaultConfig.subscribe(ctx, rdb, toShards, channels)
}

// Subscribe is the function [Subscribe] with the options of c.
func (c *Client) Subscribe(ctx context.Context, channels ...string) *PubSub {
	return c.cfg.subscribe(ctx, c.rdb, toChannels, channels)
}

// PSubscribe is the function [PSubscribe] with the options of c.
func (c *Client) PSubscribe(ctx context.Context, patterns ...string) *PubSub {
	return c.cfg.subscribe(ctx, c.rdb, toPatterns, patterns)
}

// SSubscribe is the function [SSubscribe] with the options of c.
func (c *Client) SSubscribe(ctx context.Context, channels ...string) *PubSub {
	return c.cfg.subscribe(ctx, c.rdb, toShards, channels)
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
	errors *reporter

	status  status
	reading atomic.Bool // status.started, to be seen without its mutex
	main    *feed       // of all names that are not spread over shards
	shards  *shards     // nil: no names are spread

	messages chan *Message // read, and not yet handed over
	sending  sync.Mutex    // held to send on messages, and to close it

	ctx     context.Context // ends with Close; for dialing
	cancel  context.CancelFunc
	done    chan struct{} // closed by Close
	closing sync.Once
}

func (c *config) subscribe(ctx context.Context, rdb Subscriber, to kind, names []string) *PubSub {
	p := &PubSub{
		cfg:      c,
		server:   c.server(rdb),
		errors:   &reporter{handle: c.handle},
		messages: make(chan *Message, c.channelSize),
		done:     make(chan struct{}),
		status:   status{changed: make(chan struct{})},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	open := func(context.Context) (Subscriber, error) { return rdb, nil }
	switch rdb := rdb.(type) {
	case clusterClient:
		p.shards = &shards{pubsub: p, cluster: rdb, due: time.Now().Add(memberInterval)}
		open = p.shards.anyMaster
	case ringClient:
		p.shards = &shards{pubsub: p, ring: rdb}
	}
	p.main = p.addFeed(open, nil)
	if _, ok := rdb.(ringClient); ok && len(names) == 0 {
		p.main.initial = &trouble{op: subscribeOps[to], err: errNoName, since: time.Now()}
		p.countError(errNoName)
	}
	// What goes wrong here comes out of Ready, or of the error handler.
	_ = p.spread(ctx, to, names)
	return p
}

// spread asks for names on the feeds that are to have them.
func (p *PubSub) spread(ctx context.Context, to kind, names []string) error {
	if p.shards != nil && p.shards.owns(to) {
		return p.shards.add(ctx, to, names)
	}
	return p.main.add(ctx, to, names)
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
	return p.status.ready(ctx, p.read)
}

// Subscribe adds channels to the subscription. A nil error means that they are
// asked for now, or as soon as there is a connection; [PubSub.Ready] waits for
// the server's word.
func (p *PubSub) Subscribe(ctx context.Context, channels ...string) error {
	return p.add(ctx, toChannels, channels)
}

// PSubscribe is [PubSub.Subscribe] for patterns.
func (p *PubSub) PSubscribe(ctx context.Context, patterns ...string) error {
	return p.add(ctx, toPatterns, patterns)
}

// SSubscribe is [PubSub.Subscribe] for sharded channels.
func (p *PubSub) SSubscribe(ctx context.Context, channels ...string) error {
	return p.add(ctx, toShards, channels)
}

// Unsubscribe takes channels out of the subscription, all if none is given.
// Messages that are on their way may still come.
func (p *PubSub) Unsubscribe(ctx context.Context, channels ...string) error {
	return p.remove(ctx, toChannels, channels)
}

// PUnsubscribe is [PubSub.Unsubscribe] for patterns.
func (p *PubSub) PUnsubscribe(ctx context.Context, patterns ...string) error {
	return p.remove(ctx, toPatterns, patterns)
}

// SUnsubscribe is [PubSub.Unsubscribe] for sharded channels.
func (p *PubSub) SUnsubscribe(ctx context.Context, channels ...string) error {
	return p.remove(ctx, toShards, channels)
}

// Ping sends a PING on the connection of the subscription and does not wait for
// the answer. It returns an error where there is no connection.
func (p *PubSub) Ping(ctx context.Context, payload ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var errs []error
	for _, f := range p.feeds() {
		if f.unused() {
			continue
		}
		errs = append(errs, f.ping(payload))
	}
	if len(errs) == 0 {
		return p.main.ping(payload) // says why not
	}
	return errors.Join(errs...)
}

// Close ends the subscription: its loops end, its channel is closed, its
// connection goes. It does not wait for consumers to finish what they have. It
// may be called from anywhere, and more than once. The error is always nil.
func (p *PubSub) Close() error {
	p.closing.Do(func() {
		p.cancel()    // first: what ends from here on is no trouble
		close(p.done) // whoever sends on messages lets go of it
		p.sending.Lock()
		close(p.messages)
		p.sending.Unlock()
		p.closeFeeds()
	})
	return nil
}

// String is for logs: the names that are subscribed to, as redis.PubSub has it.
func (p *PubSub) String() string {
	var names []string
	for to := range kinds {
		names = append(names, p.wanted(to)...)
	}
	return fmt.Sprintf("PubSub(%s)", strings.Join(names, ", "))
}

func (p *PubSub) add(ctx context.Context, to kind, names []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.spread(ctx, to, names)
}

func (p *PubSub) remove(ctx context.Context, to kind, names []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(names) == 0 {
		names = p.wanted(to)
	}
	for {
		before := p.status.moved()
		for _, f := range p.feeds() {
			in, err := f.remove(to, names)
			in.report(f)
			if err != nil {
				return err
			}
		}
		// A name that went from one feed to another was perhaps never met.
		if p.status.moved() == before {
			return nil
		}
	}
}
