// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

func TestReconnectsAreCounted(t *testing.T) {
	rdb := redistest.Start(t).Client()
	ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
	var errs tracetest.ErrorLog
	sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, meters.Option(), errs.Option()).Subscribe(ctx, "reports"))
	meters.AssertOnly(t) // the first connection does not replace another one
	for i := range int64(3) {
		tracetest.KillSubscriptions(t, rdb)
		tracetest.EventuallyWithin(t, 2*tracetest.Patience, "the subscription reconnects", func() bool { return meters.Total(t, tracetest.Reconnects) == i+1 })
		if err := sub.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		meters.AssertPoints(t, tracetest.Reconnects, tracetest.SubscriptionPoint(i+1, rdb))
		meters.AssertPoints(t, tracetest.SubscriptionErrors, tracetest.SubscriptionPoint(i+1, rdb, tracetest.ErrorType("connection")))
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	meters.AssertOnly(t, tracetest.Reconnects, tracetest.SubscriptionErrors)
	meters.AssertPoints(t, tracetest.SubscriptionErrors, tracetest.SubscriptionPoint(3, rdb, tracetest.ErrorType("connection"))) // Close is no failure
}

// Each failure is counted, also if one report stands for several of them.
func TestSubscriptionErrorsAreCounted(t *testing.T) {
	server := redistest.Start(t)
	rdb := tracetest.NoRetryClient(t, &redis.Options{Addr: server.Addr()})
	ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
	var errs tracetest.ErrorLog
	sub := tracetest.ReadySub(t, tracedpubsub.Wrap(rdb, meters.Option(), errs.Option()).Subscribe(ctx, "reports"))
	server.Kill() // nothing waits in Ready, so all failures are reported to the error handler
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "several attempts fail", func() bool { return meters.Total(t, tracetest.SubscriptionErrors) >= 4 })
	server.Restart()
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "the subscription reconnects", func() bool { return meters.Total(t, tracetest.Reconnects) == 1 })
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "the outage is reported", func() bool { return reported(errs.All(), "receive") > 0 })
	_ = sub.Close()
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "as many failures are reported as are counted", func() bool {
		return reported(errs.All(), "receive", "connect") == meters.Total(t, tracetest.SubscriptionErrors)
	})
	if n := int64(len(errs.All())); n >= meters.Total(t, tracetest.SubscriptionErrors) {
		t.Errorf("%d reports: none of them stands for several failures", n)
	}
	meters.AssertPoints(t, tracetest.Reconnects, tracetest.SubscriptionPoint(1, rdb))
	meters.AssertPoints(t, tracetest.SubscriptionErrors, tracetest.SubscriptionPoint(meters.Total(t, tracetest.SubscriptionErrors), rdb, tracetest.ErrorType("connection")))
}

// reported returns how many failures of the given ops were reported.
func reported(all []error, ops ...string) (n int64) {
	for _, err := range all {
		var e *tracedpubsub.SubscriptionError
		if !errors.As(err, &e) {
			continue
		}
		for _, op := range ops {
			if e.Op == op {
				n += int64(e.Count)
			}
		}
	}
	return n
}

func TestRefusedSubscriptionsAreCounted(t *testing.T) {
	server := redistest.Start(t)
	ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
	admin := server.Client()
	if err := admin.ACLSetUser(ctx, "limited", "on", ">secret", "+@all", "resetchannels", "&allowed").Err(); err != nil {
		t.Fatal(err)
	}
	rdb := tracetest.NoRetryClient(t, &redis.Options{Addr: server.Addr(), Username: "limited", Password: "secret"})
	var errs tracetest.ErrorLog
	sub := tracedpubsub.Wrap(rdb, meters.Option(), errs.Option()).Subscribe(ctx, "forbidden")
	t.Cleanup(func() { _ = sub.Close() })
	if err := sub.Ready(ctx); err == nil {
		t.Fatal("Ready has returned nil for a channel that is refused")
	}
	meters.AssertPoints(t, tracetest.SubscriptionErrors, tracetest.SubscriptionPoint(1, rdb, tracetest.ErrorType("NOPERM")))
	tracetest.EventuallyWithin(t, 2*tracetest.Patience, "it is refused again", func() bool { return meters.Total(t, tracetest.SubscriptionErrors) >= 2 })
	meters.AssertOnly(t, tracetest.SubscriptionErrors)
}

// The first attempt to connect is counted if it fails, also if it is never reported.
func TestFirstAttemptIsCounted(t *testing.T) {
	rdb := tracetest.UnreachableClient(t)
	ctx, meters := tracetest.Context(t), tracetest.NewMetrics(t)
	sub := tracedpubsub.Wrap(rdb, meters.Option()).Subscribe(ctx, "reports")
	meters.AssertPoints(t, tracetest.SubscriptionErrors, tracetest.SubscriptionPoint(1, rdb, tracetest.ErrorType("connection")))
	_ = sub.Close()
	meters.AssertOnly(t, tracetest.SubscriptionErrors)
}
