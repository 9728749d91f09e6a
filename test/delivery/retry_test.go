// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// losingReplies is a connection that loses the replies to some messages: the server has
// published them, and go-redis does not know.
type losingReplies struct {
	net.Conn
	left *atomic.Int64 // how many replies are to be lost
	lost atomic.Bool
}

func (c *losingReplies) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if bytes.Contains(b, []byte("publish")) && c.left.Add(-1) >= 0 {
		c.lost.Store(true)
	}
	return n, err
}

func (c *losingReplies) Read(b []byte) (int, error) {
	if c.lost.Load() {
		return 0, io.EOF
	}
	return c.Conn.Read(b)
}

// startLosing returns a client that loses as many replies as left says. It sends a command
// again as often as retries says.
func startLosing(t *testing.T, retries int) (rdb *redis.Client, left *atomic.Int64) {
	t.Helper()
	left = new(atomic.Int64)
	rdb = redis.NewClient(&redis.Options{
		Addr: redistest.Start(t).Addr(), MaxRetries: retries,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &losingReplies{Conn: conn, left: left}, err
		},
	})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb, left
}

// What go-redis sends again has the same number, with a Client and with the hook.
func TestARetryHasTheSameNumber(t *testing.T) {
	for name, instrumented := range map[string]bool{"Client": false, "hook": true} {
		t.Run(name, func(t *testing.T) {
			ctx := tracetest.Context(t)
			rdb, left := startLosing(t, 3)
			sub := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "a"))
			var p tracedpubsub.Publisher = tracedpubsub.Wrap(rdb, tracedpubsub.WithAccounting())
			if instrumented {
				tracetest.Instrument(t, rdb, tracetest.NewRecorder(t), tracedpubsub.WithAccounting())
				p = rdb
			}
			left.Store(2)
			tracetest.AssertSent(t, p.Publish(ctx, "a", "hello"))
			tracetest.AssertSent(t, p.Publish(ctx, "a", "hello"))
			messages := nextRaw(t, sub, 4)
			if messages[0] != messages[1] || messages[0] != messages[2] {
				t.Errorf("sent again, a message has changed: %q", messages)
			}
			if first, second := read(t, messages[0]), read(t, messages[3]); *first.Seq != 1 || *second.Seq != 2 || *first.Src != *second.Src {
				t.Errorf("the numbers are %d and %d, want 1 and 2", *first.Seq, *second.Seq)
			}
		})
	}
}

// A publish that fails has used its number up.
func TestAFailedPublishUsesItsNumberUp(t *testing.T) {
	ctx := tracetest.Context(t)
	rdb, left := startLosing(t, -1)
	sub := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "a"))
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithAccounting())
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if err := client.Publish(canceled, "a", "hello").Err(); !errors.Is(err, context.Canceled) {
		t.Fatalf("with a canceled context: %v, want context.Canceled", err)
	}
	left.Store(1)
	if err := client.Publish(ctx, "a", "hello").Err(); !errors.Is(err, io.EOF) {
		t.Fatalf("without a reply: %v, want EOF", err)
	}
	tracetest.AssertSent(t, client.Publish(ctx, "a", "hello"))
	for i, message := range nextRaw(t, sub, 2) {
		if got, want := *read(t, message).Seq, int64(i+2); got != want {
			t.Errorf("the message is number %d, want %d", got, want)
		}
	}
}
