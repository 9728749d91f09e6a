// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
)

// Publisher publishes messages. *redis.Client, *redis.ClusterClient, *redis.Ring,
// *redis.Conn, *redis.Tx, *redis.AutoPipeliner, redis.UniversalClient and redis.Pipeliner
// implement it.
//
// The Publish method is called with the wire message: the envelope with the payload in it.
// The wire message is not a string. It is an encoding.BinaryMarshaler, with the bytes to
// send, and a fmt.Stringer, with the same text. A type of your own that publishes through
// go-redis passes it on unchanged.
//
// An adapter for another client sends the bytes of its MarshalBinary method; see the example.
// If that returns an error, the payload could not be marshaled. The adapter then sends
// nothing, and returns a command with the error.
//
// If there is no envelope (see [WithFilter] and [WithEnvelopeFilter]), or if go-redis does
// not accept the type of the payload, the method is called with the payload as it is.
type Publisher interface {
	Publish(ctx context.Context, channel string, message any) *redis.IntCmd
}

// ShardPublisher publishes messages on sharded channels. The same types implement it, and
// its method is called with the same message as that of [Publisher].
type ShardPublisher interface {
	SPublish(ctx context.Context, channel string, message any) *redis.IntCmd
}

// Publish publishes payload on channel, like rdb.Publish. It starts a producer span, and
// sends payload in an envelope that carries the context of the span.
//
// payload may have any type that go-redis accepts. The command that Publish returns is
// that of rdb.Publish, with its reply or error. Its argument is the envelope, not the
// payload; see [Publisher]. If go-redis does not accept payload, the command has the error
// of go-redis.
//
// If rdb sends the command later (it is a redis.Pipeliner or an asynchronous
// *redis.AutoPipeliner), Publish does not wait for the reply. The span then stands for
// creating the message, not for sending it.
//
// Publish uses the global providers; see [Wrap] for options.
func Publish(ctx context.Context, rdb Publisher, channel string, payload any) *redis.IntCmd {
	if c, ok := rdb.(*Client); ok {
		return c.Publish(ctx, channel, payload)
	}
	return defaultConfig.publish(ctx, &publication{rdb, rdb, telemetry.Publish, viaPublish}, channel, payload)
}

// SPublish is like [Publish], for a sharded channel.
func SPublish(ctx context.Context, rdb ShardPublisher, channel string, payload any) *redis.IntCmd {
	if c, ok := rdb.(*Client); ok {
		return c.SPublish(ctx, channel, payload)
	}
	return defaultConfig.publish(ctx, &publication{rdb, rdb, telemetry.SPublish, viaSPublish}, channel, payload)
}

// Client publishes and subscribes through a go-redis client, with options. Use [Wrap] to
// create one. A Client needs no Close, and is safe for concurrent use.
type Client struct {
	rdb redis.UniversalClient
	cfg *config
}

// Wrap returns a Client that publishes and subscribes through rdb, with the given options.
// It does not change rdb. One client may be wrapped several times, with different options
// for different channels.
func Wrap(rdb redis.UniversalClient, opts ...Option) *Client {
	return &Client{rdb, newConfig(opts...)}
}

// Unwrap returns the client that c wraps.
func (c *Client) Unwrap() redis.UniversalClient { return c.rdb }

// Publish is like the function [Publish], with the options of c.
func (c *Client) Publish(ctx context.Context, channel string, payload any) *redis.IntCmd {
	return c.PublishTo(ctx, c.rdb, channel, payload)
}

// SPublish is like the function [SPublish], with the options of c.
func (c *Client) SPublish(ctx context.Context, channel string, payload any) *redis.IntCmd {
	return c.SPublishTo(ctx, c.rdb, channel, payload)
}

// PublishTo is like [Client.Publish], but publishes through p: a pipeline, transaction or
// connection of the client that c wraps, or the adapter of a client that is not of go-redis. The
// span of the latter has no server address.
func (c *Client) PublishTo(ctx context.Context, p Publisher, channel string, payload any) *redis.IntCmd {
	if other, ok := p.(*Client); ok {
		p = other.rdb
	}
	return c.cfg.publish(ctx, &publication{p, c.clientOf(p), telemetry.Publish, viaPublish}, channel, payload)
}

// SPublishTo is like [Client.PublishTo], for a sharded channel.
func (c *Client) SPublishTo(ctx context.Context, p ShardPublisher, channel string, payload any) *redis.IntCmd {
	if other, ok := p.(*Client); ok {
		p = other.rdb
	}
	return c.cfg.publish(ctx, &publication{p, c.clientOf(p), telemetry.SPublish, viaSPublish}, channel, payload)
}

// clientOf returns the client whose server p uses, or nil if p is not of go-redis.
func (c *Client) clientOf(p any) any {
	switch p := p.(type) {
	case *redis.Client, *redis.ClusterClient, *redis.Ring:
		return p
	case redis.Cmdable: // a pipeline, transaction or connection of the wrapped client
		return c.rdb
	}
	return nil
}

// publication is how a message is published.
type publication struct {
	rdb       any                  // a Publisher or a ShardPublisher, as send needs it
	client    any                  // has the address of the server
	operation *telemetry.Operation // Publish or SPublish
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

	message, wrapped, err := c.message(ctx, p.operation, channel, payload)
	if !wrapped {
		ctx = withoutEnvelope(ctx, channel)
	}
	cmd := p.send(ctx, p.rdb, channel, message)
	if !deferred && cmd != nil { // a type of the application's may return nil
		err = cmd.Err()
	}
	span.Returned(err)
	// In a cluster the reply counts the clients of one node, and would mislead.
	if _, single := p.rdb.(*redis.Client); single && err == nil {
		span.SetReceivers(cmd.Val())
	}
	return cmd
}

// isDeferred reports whether rdb queues commands and returns before they have a reply. On
// an auto-pipeline, a call of Err of such a command waits for the batch.
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

// message returns the message for payload: its envelope, or payload itself if channel has
// no envelopes. If err is not nil, go-redis fails with the same error for message.
func (c *config) message(ctx context.Context, o *telemetry.Operation, channel string, payload any) (message any, wrapped bool, err error) {
	if !c.envelopes(channel) {
		return payload, false, nil
	}
	e := encoders.Get().(*encoder)
	defer e.free()
	if err := e.encode(ctx, c, payload, c.ledgerOf(o), channel); err != nil {
		return rediscmd.Refused(payload, err), false, err
	}
	return rediscmd.NewWireMessage(e.Text()), true, nil
}
