// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
	"github.com/tracedpubsub/tracedpubsub/internal/telemetry"
)

// To account for a message adds nothing, once its channel is known.
func TestAllocationsOfAccounting(t *testing.T) {
	ctx := context.Background()
	assertAllocs(t, 3, producerSpan, func(c *config) func() {
		WithAccounting().apply(c)
		return func() {
			c.publish(ctx, &publication{succeeding, nil, telemetry.Publish, viaPublish}, "reports", "hello")
		}
	})
}

// To count what was missed adds nothing to receiving, with metrics and gaps.
func TestAllocationsOfCounting(t *testing.T) {
	ctx, provider := context.Background(), newSDK(t)
	messages := make([]*redis.Message, 10_000)
	for i := range messages {
		messages[i] = &redis.Message{Channel: "reports", Payload: fmt.Sprintf(
			`{"tracedpubsub":1,"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","ts":1766000000000000,"src":"q83vEjRWeJA","seq":%d,"payload":"hello"}`, 3*i+i%2)}
	}
	assertAllocs(t, 2, consumerSpan, func(c *config) func() {
		WithMeterProvider(provider).apply(c)
		p := c.subscribe(ctx, noServer{}, subscription.Channels, nil)
		t.Cleanup(func() { _ = p.Close() })
		i := 0
		return func() {
			p.deliver(messages[i%len(messages)])
			i++
			for range p.Messages(ctx) {
				break
			}
		}
	})
}
