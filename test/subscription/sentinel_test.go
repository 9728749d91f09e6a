// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// Which master is the present one is asked for on connections of its own, and not only once. So
// a subscription knows it though the pool of its client is exhausted, and does not leave a master
// that works.
func TestAnExhaustedPoolAndSentinels(t *testing.T) {
	t.Parallel()
	sentinels := redistest.StartSentinels(t)
	rdb := sentinels.Client(func(o *redis.FailoverOptions) { o.PoolSize = 1 })
	only := rdb.Conn()
	defer func() { _ = only.Close() }()
	if err := only.Ping(tracetest.Context(t)).Err(); err != nil {
		t.Fatal(err)
	}
	assertFollows(t, sentinels, rdb, func() {}, only.Close)
}

// A Dialer that does not return when the master is asked for must not keep the subscription from
// asking again.
func TestAHangingDialerAndSentinels(t *testing.T) {
	t.Parallel()
	sentinels := redistest.StartSentinels(t)
	d := &hangingDialer{hung: make(chan struct{}), released: make(chan struct{})}
	defer close(d.released)
	rdb := sentinels.Client(func(o *redis.FailoverOptions) { o.Dialer = d.dial })
	assertFollows(t, sentinels, rdb, func() {
		d.hang.Store(true)
		<-d.hung
	}, func() error { return nil })
}

// assertFollows asserts that a subscription follows a failover, and reports nothing else. It calls
// before and after around the failover.
func assertFollows(t *testing.T, sentinels *redistest.Sentinels, rdb *redis.Client, before func(), after func() error) {
	t.Helper()
	reports := tracetest.NewReportLog()
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithErrorHandler(reports.Handle))
	sub := tracetest.ReadySub(t, client.Subscribe(tracetest.Context(t), "a"))
	before()
	master := sentinels.Failover()
	if err := after(); err != nil {
		t.Fatal(err)
	}
	reports.WaitUntil(t, "the end of the outage", func(all []tracetest.Report) bool {
		return len(all) > 0 && all[len(all)-1].Recovered
	})
	publisher := redis.NewClient(&redis.Options{Addr: master.Addr()})
	defer func() { _ = publisher.Close() }()
	if err := publisher.Publish(tracetest.Context(t), "a", "from the new master").Err(); err != nil {
		t.Fatal(err)
	}
	if m, err := sub.ReceiveMessage(tracetest.Context(t)); err != nil || m.Payload != "from the new master" {
		t.Errorf("received %v, %v", m, err)
	}
	if all := reports.All(); len(all) != 1 {
		t.Errorf("reported was %v, want one recovery", tracetest.Texts(all))
	}
}

// hangingDialer dials. While hang is set, the next call hangs until released is closed.
type hangingDialer struct {
	hang           atomic.Bool
	hung, released chan struct{}
}

func (d *hangingDialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.hang.CompareAndSwap(true, false) {
		close(d.hung)
		<-d.released
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}
