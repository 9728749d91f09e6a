// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// killSubscribers ends the connections of all subscriptions, as an operator does.
func killSubscribers(t *testing.T, rdb *redis.Client) {
	t.Helper()
	if err := rdb.ClientKillByFilter(testContext(t), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
}

func TestReconnectsAreCounted(t *testing.T) {
	rdb := redistest.Start(t).Client()
	ctx, meters := testContext(t), newMetering(t)
	var told errorLog
	sub := readySub(t, tracedpubsub.Wrap(rdb, meters.option(), told.option()).Subscribe(ctx, "reports"))
	meters.assertOnly(t) // the first connection takes nobody's place
	for i := range int64(3) {
		killSubscribers(t, rdb)
		eventually(t, "the subscription reconnects", func() bool { return meters.total(t, reconnects) == i+1 })
		if err := sub.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		meters.assertPoints(t, reconnects, feedSeries(i+1, rdb))
		meters.assertPoints(t, subscribeErrors, feedSeries(i+1, rdb, errorType("connection")))
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	meters.assertOnly(t, reconnects, subscribeErrors)
	meters.assertPoints(t, subscribeErrors, feedSeries(3, rdb, errorType("connection"))) // Close is no failure
}

// Each failure counts, whether the error handler was told of it by itself or with
// others.
func TestSubscriptionErrorsAreCounted(t *testing.T) {
	server := redistest.Start(t)
	rdb := patientless(t, &redis.Options{Addr: server.Addr()})
	ctx, meters := testContext(t), newMetering(t)
	var told errorLog
	sub := readySub(t, tracedpubsub.Wrap(rdb, meters.option(), told.option()).Subscribe(ctx, "reports"))
	server.Kill() // from now on nobody waits in Ready: all goes to the error handler
	eventually(t, "several attempts fail", func() bool { return meters.total(t, subscribeErrors) >= 4 })
	server.Restart()
	eventually(t, "the subscription reconnects", func() bool { return meters.total(t, reconnects) == 1 })
	eventually(t, "the handler has been told of the outage", func() bool { return reported(told.all(), "receive") == 1 })
	_ = sub.Close()
	eventually(t, "as many failures are reported as are counted", func() bool {
		return reported(told.all(), "receive", "connect") == meters.total(t, subscribeErrors)
	})
	if n := int64(len(told.all())); n >= meters.total(t, subscribeErrors) {
		t.Errorf("%d reports: none has told of several failures at once", n)
	}
	meters.assertPoints(t, reconnects, feedSeries(1, rdb))
	meters.assertPoints(t, subscribeErrors, feedSeries(meters.total(t, subscribeErrors), rdb, errorType("connection")))
}

// reported is how many failures of the given kinds were reported.
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
	ctx, meters := testContext(t), newMetering(t)
	admin := server.Client()
	if err := admin.ACLSetUser(ctx, "limited", "on", ">secret", "+@all", "resetchannels", "&allowed").Err(); err != nil {
		t.Fatal(err)
	}
	rdb := patientless(t, &redis.Options{Addr: server.Addr(), Username: "limited", Password: "secret"})
	var told errorLog
	sub := tracedpubsub.Wrap(rdb, meters.option(), told.option()).Subscribe(ctx, "forbidden")
	t.Cleanup(func() { _ = sub.Close() })
	if err := sub.Ready(ctx); err == nil {
		t.Fatal("Ready has returned nil for a name that is refused")
	}
	meters.assertPoints(t, subscribeErrors, feedSeries(1, rdb, errorType("NOPERM")))
	eventually(t, "it is asked for, and refused, again", func() bool { return meters.total(t, subscribeErrors) >= 2 })
	meters.assertOnly(t, subscribeErrors)
}

// An attempt that fails before anybody reads is a failure, heard of or not.
func TestFirstAttemptIsCounted(t *testing.T) {
	rdb := deadClient(t)
	ctx, meters := testContext(t), newMetering(t)
	sub := tracedpubsub.Wrap(rdb, meters.option()).Subscribe(ctx, "reports")
	meters.assertPoints(t, subscribeErrors, feedSeries(1, rdb, errorType("connection")))
	_ = sub.Close()
	meters.assertOnly(t, subscribeErrors)
}
