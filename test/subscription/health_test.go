// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// healthCheck calls Ready again and again, as a load balancer does.
type healthCheck struct {
	mu   sync.Mutex
	last error
	done bool
}

func startHealthCheck(t *testing.T, sub *tracedpubsub.PubSub) *healthCheck {
	t.Helper()
	h := &healthCheck{}
	ctx, cancel := context.WithCancel(context.Background())
	var checking sync.WaitGroup
	checking.Go(func() {
		for ctx.Err() == nil {
			check, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			err := sub.Ready(check)
			cancel()
			h.mu.Lock()
			h.last, h.done = err, true
			h.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		cancel()
		checking.Wait()
	})
	return h
}

func (h *healthCheck) await(t *testing.T, what string, holds func(error) bool) {
	t.Helper()
	tracetest.Eventually(t, what, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.done && holds(h.last)
	})
}

func healthy(err error) bool { return err == nil }

// unhealthy returns whether an error of Ready says that a channel is down.
func unhealthy(channel string) func(error) bool {
	return func(err error) bool {
		e, ok := tracetest.As[*tracedpubsub.SubscriptionError](err)
		return ok && slices.Equal(e.Channels, []string{channel}) && !e.Recovered && e.Downtime > 0
	}
}

// Ready is a health check during and after an outage, on each of several servers. It does not
// keep the outage from the error handler.
func TestReadyIsAHealthCheck(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) (sub *tracedpubsub.PubSub, channel string, server *redistest.Server, reports *tracetest.ReportLog){
		"a server": func(t *testing.T) (*tracedpubsub.PubSub, string, *redistest.Server, *tracetest.ReportLog) {
			server, _ := tracetest.StartServer(t)
			s := tracetest.NewSubject(t, server.Addr())
			return s.ReadySubscription(t, "a"), "a", server, s.Reports
		},
		"a cluster": func(t *testing.T) (*tracedpubsub.PubSub, string, *redistest.Server, *tracetest.ReportLog) {
			redistest.Long(t)
			c := startCluster(t)
			s, channels := c.subject(t), c.spread(t, "h", 1)
			return s.ready(t, s.SSubscribe(tracetest.Context(t), channels...)), channels[0], c.OwnerOf(channels[0]), s.reports
		},
		"a Ring": func(t *testing.T) (*tracedpubsub.PubSub, string, *redistest.Server, *tracetest.ReportLog) {
			s := newRingSubject(t)
			channels := []string{"a", "b", "c", "d", "e"}
			sub := tracetest.ReadySub(t, s.SSubscribe(tracetest.Context(t), channels...))
			// One that is alone on its server.
			owners := make(map[string][]string)
			for _, c := range channels {
				owners[s.owner(t, c)] = append(owners[s.owner(t, c)], c)
			}
			for owner, own := range owners {
				if len(own) == 1 {
					return sub, own[0], s.servers[owner], s.reports
				}
			}
			t.Fatal("no channel is alone on its server")
			return nil, "", nil, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			sub, channel, server, reports := start(t)
			h := startHealthCheck(t, sub)
			h.await(t, "it is healthy", healthy)
			server.Kill()
			h.await(t, "it is unhealthy", unhealthy(channel))
			down := reports.WaitUntil(t, "the outage", func(all []tracetest.Report) bool { return len(all) > 0 })
			if e := down[0]; e.Recovered || !slices.Contains(e.Channels, channel) {
				t.Errorf("reported was %v, want the outage", e)
			}
			server.Restart()
			h.await(t, "it is healthy again", healthy)
			reports.WaitUntil(t, "the end of the outage", func(all []tracetest.Report) bool { return all[len(all)-1].Recovered })
		})
	}
}
