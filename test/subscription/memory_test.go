// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// What an application keeps of a message does not keep the rest of it in memory.
func TestWhatIsKeptOfLargeMessages(t *testing.T) {
	const size, kept = 1 << 20, 32
	large := strings.Repeat("x", size)
	const carrier = `{"tracedpubsub":1,` + tracetest.ForeignTraceparent + `,"tracestate":"vendor=1","baggage":"tenant=acme"`
	for _, tt := range []struct {
		name, reason, message string
		keep                  func(ctx context.Context, m *tracedpubsub.Message) any
	}{
		{"payload", "the message has a large member that is ignored", carrier + `,"x":"` + large + `","payload":"y"}`,
			func(_ context.Context, m *tracedpubsub.Message) any { return m.Payload }},
		{"message", "it has the fields, too", carrier + `,"x":"` + large + `","payload":"y"}`,
			func(_ context.Context, m *tracedpubsub.Message) any { return m }},
		{"context of the loop", "it has the baggage and the tracestate", carrier + `,"payload":"` + large + `"}`,
			func(ctx context.Context, _ *tracedpubsub.Message) any { return ctx }},
		{"context of the producer", "likewise", carrier + `,"payload":"` + large + `"}`,
			func(_ context.Context, m *tracedpubsub.Message) any { return m.Extract(context.Background()) }},
		{"envelope without its payload", "an application may put another payload into it", carrier + `,"payload":"` + large + `"}`,
			func(_ context.Context, m *tracedpubsub.Message) any {
				e, _ := tracedpubsub.Decode(carrier + `,"payload":"` + m.Payload + `"}`)
				e.Payload = "y"
				return e
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t, tracetest.Unlimited...)
			sub := tracetest.NewSubject(t, server.Addr()).ReadySubscription(t, "a")
			parts := make([]any, 0, kept)
			tracetest.PublishRaw(t, rdb, "a", tt.message)
			before := heap()
			for ctx, m := range sub.Messages(tracetest.Context(t)) {
				parts = append(parts, tt.keep(ctx, m))
				if len(parts) == kept {
					break
				}
				tracetest.PublishRaw(t, rdb, "a", tt.message)
			}
			if grown := heap() - before; len(parts) != kept || grown > kept*size/4 {
				t.Errorf("%d parts keep %d bytes, want %d that keep far less than the messages: %s", len(parts), grown, kept, tt.reason)
			}
			runtime.KeepAlive(parts)
		})
	}
}

// heap returns the bytes in use, without what the garbage collector can free.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what a sync.Pool holds survives the first one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
