// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"flag"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

var full = flag.Bool("full", false, "publish ten million messages at once from several goroutines, not 60,000")

// parallelWays are the ways in which goroutines publish through one pool. connect returns what
// each of them calls.
var parallelWays = []struct {
	name, reason string
	connect      func(t *testing.T, rdb *redis.Client) tracedpubsub.Publisher
}{
	{"Client", "a goroutine may be suspended between numbering and sending", func(_ *testing.T, rdb *redis.Client) tracedpubsub.Publisher {
		return tracedpubsub.Wrap(rdb, silent, tracedpubsub.WithAccounting())
	}},
	{"hook", "it numbers when the command is sent", func(t *testing.T, rdb *redis.Client) tracedpubsub.Publisher {
		if err := tracedpubsub.Instrument(rdb, tracetest.AllChannels, silent, tracedpubsub.WithAccounting()); err != nil {
			t.Fatal(err)
		}
		return rdb
	}},
	{"auto-pipeline", "it sends the messages of several goroutines in batches", func(t *testing.T, rdb *redis.Client) tracedpubsub.Publisher {
		return through{tracedpubsub.Wrap(rdb, silent, tracedpubsub.WithAccounting()), autoPipeline(t, rdb)}
	}},
	{"auto-pipeline with a hook", "a batch is numbered when it is sent, and several may be on their way", func(t *testing.T, rdb *redis.Client) tracedpubsub.Publisher {
		if err := tracedpubsub.Instrument(rdb, tracetest.AllChannels, silent, tracedpubsub.WithAccounting()); err != nil {
			t.Fatal(err)
		}
		return autoPipeline(t, rdb)
	}},
}

// silent leaves out the spans, which are not what these tests are about.
var silent = tracedpubsub.WithTracerProvider(noop.NewTracerProvider())

// through publishes through an auto-pipeline of the client.
type through struct {
	client *tracedpubsub.Client
	ap     *redis.AutoPipeliner
}

func (p through) Publish(ctx context.Context, channel string, payload any) *redis.IntCmd {
	return p.client.PublishTo(ctx, p.ap, channel, payload)
}

func autoPipeline(t *testing.T, rdb *redis.Client) *redis.AutoPipeliner {
	t.Helper()
	ap, err := rdb.AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ap.Close() })
	return ap
}

// Goroutines that publish on one channel overtake each other. None of their messages is counted
// as lost, and none as a duplicate.
func TestNoFalseLossOfManyGoroutines(t *testing.T) {
	t.Parallel()
	const goroutines = 8
	messages := 60_000
	if *full {
		messages = 10_000_000
	}
	each := messages / len(parallelWays) / goroutines
	for _, way := range parallelWays {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			server, _ := tracetest.StartServer(t, tracetest.Unlimited...)
			s := newSubject(t, server.Addr())
			sub := s.ReadySubscription(t, "a")
			p := way.connect(t, server.Client())
			var publishing sync.WaitGroup
			for range goroutines {
				publishing.Go(func() {
					for range each {
						if err := p.Publish(context.Background(), "a", "hello").Err(); err != nil {
							t.Errorf("publish: %v", err)
							return
						}
					}
				})
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go func() {
				publishing.Wait()
				select {
				case <-time.After(tracetest.Patience): // what has not arrived by now is lost
					cancel()
				case <-ctx.Done():
				}
			}()
			overtaking := 0
			for i := range each * goroutines {
				m, err := sub.ReceiveMessage(ctx)
				if err != nil {
					t.Fatalf("after %d messages: %v", i, err)
				}
				if m.Skipped > 0 {
					overtaking++
				}
			}
			publishing.Wait()
			s.assertJudged(t, sub, "a", 0, 0)
			s.Reports.AssertNone(t)
			t.Logf("of %d messages, %d have overtaken others: %s", each*goroutines, overtaking, way.reason)
		})
	}
}
