// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A message that arrives as the context of a consumer expires is left for the next
// consumer.
func TestDeadlinesLoseNothing(t *testing.T) {
	t.Parallel()
	const n, burst = 3000, 20
	for _, tt := range tracetest.Consumers {
		t.Run(tt.Name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			sub := tracetest.NewSubject(t, server.Addr()).ReadySubscription(t, "numbers")

			published := make(chan struct{})
			go func() {
				defer close(published)
				// A deadline passes between two bursts, so that deadlines meet messages in every state.
				tick := time.NewTicker(3 * time.Millisecond)
				defer tick.Stop()
				for i := 0; i < n; i += burst {
					<-tick.C
					for _, payload := range tracetest.Numbered(i, burst) {
						if err := rdb.Publish(t.Context(), "numbers", payload).Err(); err != nil {
							t.Errorf("publish: %v", err)
							return
						}
					}
				}
			}()
			defer func() { <-published }()

			all, expired := tracetest.Context(t), 0
			var got []string
			for len(got) < n && all.Err() == nil {
				ctx, cancel := context.WithTimeout(all, 2*time.Millisecond)
				tt.Consume(ctx, sub, func(m *tracedpubsub.Message) bool {
					got = append(got, m.Payload)
					return len(got) < n
				})
				cancel()
				expired++
			}
			if !slices.Equal(got, tracetest.Numbered(0, n)) {
				t.Errorf("%s: %d messages, want all of %d in order: %s", tt.Reason, len(got), n, firstDifference(got, tracetest.Numbered(0, n)))
			}
			if expired < 10 {
				t.Errorf("only %d deadlines passed: the test proves nothing", expired)
			}
		})
	}
}

func firstDifference(got, want []string) string {
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			return "the first difference is at " + strconv.Itoa(i)
		}
	}
	return "there are too many"
}

// Several loops over one subscription are a pool of workers: each message goes to one.
func TestWorkerPool(t *testing.T) {
	t.Parallel()
	const n, workers = 2000, 4
	for _, tt := range tracetest.Consumers {
		t.Run(tt.Name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			s := tracetest.NewSubject(t, server.Addr())
			sub := s.ReadySubscription(t, "jobs")
			ctx, cancel := context.WithCancel(tracetest.Context(t))
			defer cancel()

			var pool, busy sync.WaitGroup
			busy.Add(workers)
			var mu sync.Mutex
			seen := make(map[string]int)
			for range workers {
				pool.Go(func() {
					first := true
					tt.Consume(ctx, sub, func(m *tracedpubsub.Message) bool {
						if first { // no worker gets a second job before each has one
							first = false
							busy.Done()
							busy.Wait()
						}
						mu.Lock()
						defer mu.Unlock()
						if seen[m.Payload]++; len(seen) == n {
							cancel()
						}
						return true
					})
				})
			}
			tracetest.PublishRaw(t, rdb, "jobs", tracetest.Numbered(0, n)...)
			pool.Wait()
			for _, job := range tracetest.Numbered(0, n) {
				if seen[job] != 1 {
					t.Errorf("job %s was done %d times, want once", job, seen[job])
				}
			}
			s.Spans.Spans(t, n)
		})
	}
}

// More is published than all buffers on the way hold, before a consumer starts.
func TestASlowConsumerMissesNothing(t *testing.T) {
	t.Parallel()
	const n = 300
	padding := strings.Repeat("x", 100<<10)
	for _, tt := range tracetest.Consumers {
		t.Run(tt.Name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t, tracetest.Unlimited...)
			s := tracetest.NewSubject(t, server.Addr())
			sub := s.ReadySubscription(t, "big")
			for _, payload := range tracetest.Numbered(0, n) {
				tracetest.PublishRaw(t, rdb, "big", payload+" "+padding)
			}
			clients := rdb.ClientList(t.Context()).Val()
			if !strings.Contains(clients, "sub=1") || backlog(t, clients) == 0 {
				t.Fatalf("the server has nothing left to send: the test proves nothing\n%s", clients)
			}
			var got []string
			tt.Consume(tracetest.Context(t), sub, func(m *tracedpubsub.Message) bool {
				payload, _, _ := strings.Cut(m.Payload, " ")
				got = append(got, payload)
				return len(got) < n
			})
			if !slices.Equal(got, tracetest.Numbered(0, n)) {
				t.Errorf("%d messages, want all of %d in order: %s", len(got), n, firstDifference(got, tracetest.Numbered(0, n)))
			}
			s.Reports.AssertNone(t)
		})
	}
}

// backlog returns how many bytes the server holds for its subscribers, by CLIENT LIST.
func backlog(t *testing.T, clients string) (bytes int) {
	t.Helper()
	for line := range strings.Lines(clients) {
		if !strings.Contains(line, " sub=1 ") {
			continue
		}
		for field := range strings.FieldsSeq(line) {
			if value, ok := strings.CutPrefix(field, "omem="); ok {
				n, err := strconv.Atoi(value)
				if err != nil {
					t.Fatal(err)
				}
				bytes += n
			}
		}
	}
	return bytes
}

func TestWithChannelSize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, reason string
		options      []tracedpubsub.Option
		want         int
	}{
		{"0", "every message waits for a consumer", []tracedpubsub.Option{tracedpubsub.WithChannelSize(0)}, 0},
		{"1", "the smallest buffer", []tracedpubsub.Option{tracedpubsub.WithChannelSize(1)}, 1},
		{"default", "as in go-redis", nil, 100},
		{"negative", "is ignored", []tracedpubsub.Option{tracedpubsub.WithChannelSize(-1)}, 100},
		{"negative after another", "is ignored, and not the default", []tracedpubsub.Option{tracedpubsub.WithChannelSize(3), tracedpubsub.WithChannelSize(-1)}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			sub := tracetest.NewSubject(t, server.Addr(), tt.options...).ReadySubscription(t, "numbers")
			tracetest.PublishRaw(t, rdb, "numbers", tracetest.Numbered(0, tt.want+50)...)
			tracetest.Eventually(t, strconv.Itoa(tt.want)+" messages are held ready", func() bool { return len(sub.Channel()) == tt.want })
			if got := cap(sub.Channel()); got != tt.want {
				t.Errorf("%s: room for %d messages, want %d", tt.reason, got, tt.want)
			}
			tracetest.AssertReceives(t, sub, tracetest.Numbered(0, tt.want+50)...)
		})
	}
}

// The ways to consume take turns while messages arrive.
func TestSwitchingLosesNothing(t *testing.T) {
	const n, turn = 2000, 7
	server, rdb := tracetest.StartServer(t)
	sub := tracetest.NewSubject(t, server.Addr(), tracedpubsub.WithChannelSize(5)).ReadySubscription(t, "numbers")
	var publishing sync.WaitGroup
	defer publishing.Wait()
	publishing.Go(func() {
		for i := 0; i < n; i += 50 {
			tracetest.PublishRaw(t, rdb, "numbers", tracetest.Numbered(i, 50)...)
		}
	})
	ctx := tracetest.Context(t)
	var got []string
	for i := 0; len(got) < n && ctx.Err() == nil; i++ {
		taken := 0
		tracetest.Consumers[i%len(tracetest.Consumers)].Consume(ctx, sub, func(m *tracedpubsub.Message) bool {
			got = append(got, m.Payload)
			taken++
			return taken < turn && len(got) < n
		})
	}
	if !slices.Equal(got, tracetest.Numbered(0, n)) {
		t.Errorf("%d messages, want all of %d in order: %s", len(got), n, firstDifference(got, tracetest.Numbered(0, n)))
	}
}

// A panic in the body leaves a subscription that can be used.
func TestAPanicLeavesTheSubscriptionUsable(t *testing.T) {
	for _, tt := range tracetest.Consumers[:2] { // those that call the body
		t.Run(tt.Name, func(t *testing.T) {
			server, rdb := tracetest.StartServer(t)
			sub := tracetest.NewSubject(t, server.Addr()).ReadySubscription(t, "a")
			tracetest.PublishRaw(t, rdb, "a", "bad", "good")
			func() {
				defer func() {
					if v := recover(); v != "boom" {
						t.Errorf("recovered %v, want what was raised", v)
					}
				}()
				tt.Consume(tracetest.Context(t), sub, func(*tracedpubsub.Message) bool { panic("boom") })
			}()
			tracetest.AssertReceives(t, sub, "good")
		})
	}
}
