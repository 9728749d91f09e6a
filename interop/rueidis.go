// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/tracedpubsub/tracedpubsub"
)

// RueidisPublisher publishes through rueidis. It is a tracedpubsub.Publisher.
type RueidisPublisher struct{ Client rueidis.Client }

var _ tracedpubsub.Publisher = RueidisPublisher{}

// Publish sends PUBLISH, and returns its reply or error in a command of go-redis.
func (p RueidisPublisher) Publish(ctx context.Context, channel string, message any) *redis.IntCmd {
	cmd := redis.NewIntCmd(ctx, "publish", channel, message)
	text, err := wireText(message)
	if err != nil {
		cmd.SetErr(err)
		return cmd
	}
	publish := p.Client.B().Publish().Channel(channel).Message(text).Build()
	receivers, err := p.Client.Do(ctx, publish).AsInt64()
	cmd.SetVal(receivers)
	cmd.SetErr(err)
	return cmd
}

// ReceiveRueidis calls handle for each message on channel, within a consumer span. It returns
// when ctx is canceled or client is closed.
func ReceiveRueidis(ctx context.Context, client rueidis.Client, channel string, handle tracedpubsub.Handler) error {
	subscribe := client.B().Subscribe().Channel(channel).Build()
	return client.Receive(ctx, subscribe, func(m rueidis.PubSubMessage) {
		process(ctx, newMessage(m.Channel, m.Pattern, m.Message), handle)
	})
}
