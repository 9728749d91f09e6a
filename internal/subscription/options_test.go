// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// withOptions runs test with a client of s whose options change has changed.
func withOptions(t *testing.T, s *server, change func(*redis.Options), ping time.Duration,
	test func(t *testing.T, sub *subscription.Subscription, l *log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		options := s.client(t).Options()
		change(options)
		rdb := redis.NewClient(options)
		defer rdb.Close()
		l := new(log)
		sub := subscription.New(subscription.Config{Client: rdb, Deliver: l.deliver, Observer: l, PingSilence: ping})
		defer sub.Close()
		test(t, sub, l)
	})
}

// Without PINGs, a proxy that does not pass them on changes nothing.
func TestNoPings(t *testing.T) {
	s := new(server)
	withOptions(t, s, func(*redis.Options) {}, 0, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		for range 60 {
			s.push("message", "a", "1")
			pass(time.Second)
		}
		pass(time.Hour)
		if got := s.commands("ping"); len(got) > 0 {
			t.Errorf("commands are %q, want no PING", got)
		}
		if reports := l.take(); len(reports) > 0 || len(s.dialed()) != 1 {
			t.Errorf("reported was %v, and %d connections were made", reports, len(s.dialed()))
		}
	})
}

// nilError panics if it is used, as a nil *net.OpError does.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// An error of a Dialer that cannot be used is a failure like others.
func TestANilErrorIsAFailure(t *testing.T) {
	s := new(server)
	fails := false
	withOptions(t, s, func(o *redis.Options) {
		dial := o.Dialer
		o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if fails {
				return nil, (*nilError)(nil)
			}
			return dial(ctx, network, addr)
		}
	}, time.Second, func(t *testing.T, sub *subscription.Subscription, l *log) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		fails = true
		s.cut()
		pass(time.Second)
		reports := l.take()
		if len(reports) != 1 || !strings.Contains(reports[0].Error(), "panic in an error") {
			t.Fatalf("reported was %v, want one failure", reports)
		}
		fails = false
		mustBeReadyInTheEnd(t, sub)
	})
}

// noDeadlines is a connection like those of golang.org/x/crypto/ssh.
type noDeadlines struct{ net.Conn }

var errNoDeadlines = errors.New("tcpChan: deadline not supported")

func (noDeadlines) SetDeadline(time.Time) error      { return errNoDeadlines }
func (noDeadlines) SetReadDeadline(time.Time) error  { return errNoDeadlines }
func (noDeadlines) SetWriteDeadline(time.Time) error { return errNoDeadlines }

// Connections without deadlines can be used with the timeouts that are made for them. With
// others, the error says so.
func TestConnectionsWithoutDeadlines(t *testing.T) {
	for _, timeout := range []time.Duration{0, -2} {
		s := new(server)
		withOptions(t, s, func(o *redis.Options) {
			dial := o.Dialer
			o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				return noDeadlines{conn}, err
			}
			o.ReadTimeout, o.WriteTimeout = timeout, timeout
		}, 5*time.Second, func(t *testing.T, sub *subscription.Subscription, l *log) {
			err := sub.Subscribe(t.Context(), subscription.Channels, "a")
			if timeout == 0 {
				if !errors.Is(err, errNoDeadlines) || !strings.Contains(err.Error(), "set ReadTimeout and WriteTimeout to -2") {
					t.Errorf("Subscribe: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatalf("Subscribe: %v", err)
			}
			mustBeReady(t, sub)
			pass(time.Minute)
			s.push("message", "a", "1")
			synctest.Wait()
			if got := l.received(); len(got) != 1 {
				t.Errorf("received %q, want one message", got)
			}
			if reports := l.take(); len(reports) > 0 {
				t.Errorf("reported was %v", reports)
			}
		})
	}
}
