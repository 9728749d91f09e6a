// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
)

// Publisher is what publishes: a *redis.Client, *redis.ClusterClient,
// *redis.Ring, *redis.Conn, *redis.Tx, *redis.AutoPipeliner, a
// redis.UniversalClient or a redis.Pipeliner. The message that it gets is an
// envelope: no string, but a fmt.Stringer and an encoding.BinaryMarshaler.
type Publisher interface {
	Publish(ctx context.Context, channel string, message any) *redis.IntCmd
}

// ShardPublisher is what publishes to sharded channels; the same types do.
type ShardPublisher interface {
	SPublish(ctx context.Context, channel string, message any) *redis.IntCmd
}

// Publish publishes payload on channel within a producer span, in an envelope
// that carries the context of that span. It takes every payload that rdb.Publish
// takes and returns what it returns; a payload that go-redis refuses is handed
// on to it, so that its own error is on the command.
//
// The command holds the envelope as an argument that is no string, but prints and
// marshals as one.
//
// Where the reply is deferred (rdb is a redis.Pipeliner, or an asynchronous
// *redis.AutoPipeliner), the span tells of the creation of the message alone,
// and Publish does not wait for the reply.
//
// It uses the global providers; see [Wrap] for options.
func Publish(ctx context.Context, rdb Publisher, channel string, payload any) *redis.IntCmd {
	if c, ok := rdb.(*Client); ok {
		return c.Publish(ctx, channel, payload)
	}
	return defaultConfig.publish(ctx, &publication{rdb, rdb, telemetry.Publish, viaPublish}, channel, payload)
}

// SPublish is [Publish] for a sharded channel.
func SPublish(ctx context.Context, rdb ShardPublisher, channel string, payload any) *redis.IntCmd {
	if c, ok := rdb.(*Client); ok {
		return c.SPublish(ctx, channel, payload)
	}
	return defaultConfig.publish(ctx, &publication{rdb, rdb, telemetry.SPublish, viaSPublish}, channel, payload)
}

// Client publishes and subscribes with options. It adds nothing to the client
// that it wraps and owns nothing: it needs no Close, and one client may be
// wrapped several times, with other options for other channels. It is safe for
// concurrent use.
type Client struct {
	rdb redis.UniversalClient
	cfg *config
}

// Wrap returns a Client that publishes and subscribes through rdb, with opts.
func Wrap(rdb redis.UniversalClient, opts ...Option) *Client {
	return &Client{rdb, newConfig(opts...)}
}

// Unwrap returns the client that was wrapped, for everything else.
func (c *Client) Unwrap() redis.UniversalClient { return c.rdb }

// Publish is the function [Publish] with the options of c.
func (c *Client) Publish(ctx context.Context, channel string, payload any) *redis.IntCmd {
	return c.PublishTo(ctx, c.rdb, channel, payload)
}

// SPublish is the function [SPublish] with the options of c.
func (c *Client) SPublish(ctx context.Context, channel string, payload any) *redis.IntCmd {
	return c.SPublishTo(ctx, c.rdb, channel, payload)
}

// PublishTo publishes through p, which is a pipeline, transaction or connection
// of the client that c wraps.
func (c *Client) PublishTo(ctx context.Context, p Publisher, channel string, payload any) *redis.IntCmd {
	if other, ok := p.(*Client); ok {
		p = other.rdb
	}
	return c.cfg.publish(ctx, &publication{p, c.rdb, telemetry.Publish, viaPublish}, channel, payload)
}

// SPublishTo is [Client.PublishTo] for a sharded channel.
func (c *Client) SPublishTo(ctx context.Context, p ShardPublisher, channel string, payload any) *redis.IntCmd {
	if other, ok := p.(*Client); ok {
		p = other.rdb
	}
	return c.cfg.publish(ctx, &publication{p, c.rdb, telemetry.SPublish, viaSPublish}, channel, payload)
}

// publication says through what a message is published, and how.
type publication struct {
	rdb       any // a Publisher or a ShardPublisher, as send needs it
	client    any // whose server it is
	operation *telemetry.Operation
	send      func(ctx context.Context, rdb any, channel string, message any) *redis.IntCmd
}

func viaPublish(ctx context.Context, rdb any, channel string, message any) *redis.IntCmd {
	return rdb.(Publisher).Publish(ctx, channel, message)
}

func viaSPublish(ctx context.Context, rdb any, channel string, message any) *redis.IntCmd {
	return rdb.(ShardPublisher).SPublish(ctx, channel, message)
}

func (c *config) publish(ctx context.Context, p *publication, channel string, payload any) *redis.IntCmd {
	if !c.traces(channel) {
		return p.send(ctx, p.rdb, channel, payload)
	}
	deferred := isDeferred(p.rdb)
	start := telemetry.SpanStart{
		Operation:   p.operation,
		Destination: channel,
		Template:    c.templateOf(channel),
		Server:      c.server(p.client),
	}
	if deferred {
		start.Operation = telemetry.Create
	}
	ctx, span := c.telemetry.Start(ctx, &start)
	defer span.End()

	message, wrapped, err := c.message(ctx, channel, payload)
	if !wrapped {
		ctx = withoutEnvelope(ctx, channel)
	}
	cmd := p.send(ctx, p.rdb, channel, message)
	if !deferred {
		err = cmd.Err()
	}
	span.Returned(err)
	// In a cluster the reply counts the clients of one node, and would mislead.
	if _, single := p.rdb.(*redis.Client); single && err == nil {
		span.SetReceivers(cmd.Val())
	}
	return cmd
}

// isDeferred says whether rdb queues a command and returns before it has its
// reply. To read such a command would mean to wait for the batch.
func isDeferred(rdb any) bool {
	switch p := rdb.(type) {
	case *redis.Client, *redis.ClusterClient, *redis.Ring:
		return false
	case redis.Pipeliner:
		return true
	case interface{ IsBlocking() bool }:
		return !p.IsBlocking()
	}
	return false
}

// message returns what to give to go-redis for payload: its envelope, or payload itself
// if channel has no envelopes, or what go-redis refuses with the error that is returned.
func (c *config) message(ctx context.Context, channel string, payload any) (message any, wrapped bool, err error) {
	if !c.envelopes(channel) {
		return payload, false, nil
	}
	e := encoders.Get().(*encoder)
	defer e.free()
	if err := e.encode(ctx, c, payload); err != nil {
		return rediscmd.Refused(payload, err), false, err
	}
	return rediscmd.NewWireMessage(e.Text()), true, nil
}
