// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// spread is a cluster or a Ring whose topics are owned by the servers that the test says.
type spread struct {
	mu      sync.Mutex
	clients []*redis.Client
	owner   int            // of all topics
	owners  map[string]int // of single topics
	failure error          // of asking for an owner
	reloads int
	checks  int // calls of ForEachShard
}

func newSpread(t *testing.T, servers ...*server) *spread {
	s := new(spread)
	for _, each := range servers {
		s.clients = append(s.clients, each.client(t))
	}
	return s
}

func (s *spread) Subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	return s.clients[0].Subscribe(ctx, channels...)
}

func (s *spread) own(name string) (*redis.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, s.failure
	}
	if owner, ok := s.owners[name]; ok {
		return s.clients[owner], nil
	}
	return s.clients[s.owner], nil
}

func (s *spread) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// asCluster has the methods of a *redis.ClusterClient.
type asCluster struct{ *spread }

func (c asCluster) MasterForKey(_ context.Context, name string) (*redis.Client, error) {
	return c.own(name)
}

func (c asCluster) ReloadState(context.Context) { c.change(func() { c.reloads++ }) }

func (c asCluster) ForEachShard(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	c.mu.Lock()
	c.checks++
	clients := slices.Clone(c.clients)
	c.mu.Unlock()
	for _, client := range clients {
		if err := f(ctx, client); err != nil {
			return err
		}
	}
	return nil
}

func (c asCluster) ForEachMaster(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	c.mu.Lock()
	clients, failure := slices.Clone(c.clients), c.failure
	c.mu.Unlock()
	for _, client := range clients {
		if err := f(ctx, client); err != nil {
			return err
		}
	}
	return failure
}

// asRing has the methods of a *redis.Ring.
type asRing struct{ *spread }

func (r asRing) GetShardClientForKey(name string) (*redis.Client, error) { return r.own(name) }

func (r asRing) GetShardClients() []*redis.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.clients)
}

func (r asRing) Len() int { return len(r.GetShardClients()) }

// onTwo runs test with a client of two servers, of which the first owns all topics.
func onTwo(t *testing.T, client func(*spread) subscription.Subscriber, test func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, servers [2]*server)) {
	t.Helper()
	servers := [2]*server{new(server), new(server)}
	var both *spread
	inBubble(t, func(t *testing.T) subscription.Subscriber {
		both = newSpread(t, servers[0], servers[1])
		return client(both)
	}, func(t *testing.T, sub *subscription.Subscription, l *log) { test(t, sub, l, both, servers) })
}

func inCluster(s *spread) subscription.Subscriber { return asCluster{s} }
func inRing(s *spread) subscription.Subscriber    { return asRing{s} }

// A node that gives a slot away unsubscribes its subscribers.
func TestATopicFollowsItsSlot(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, servers [2]*server) {
		mustSubscribe(t, sub, subscription.ShardChannels, "a", "b")
		if got := servers[0].commands("ssubscribe"); len(got) != 2 {
			t.Errorf("commands were %q, want one for each sharded channel", got)
		}
		moved := time.Now()
		both.change(func() { both.owners = map[string]int{"a": 1} })
		servers[0].push("sunsubscribe", "a", ":0")
		synctest.Wait()
		if both.reloads == 0 {
			t.Error("the client was not made to ask for the slots again")
		}
		mustBeReady(t, sub)
		if took := time.Since(moved); took > 20*time.Millisecond {
			t.Errorf("back after %v, want 20 ms", took)
		}
		servers[1].push("smessage", "a", "1")
		synctest.Wait()
		if got := l.received(); !slices.Equal(got, []string{"a: 1"}) {
			t.Errorf("received %q, want the message of the new owner", got)
		}
		reports := l.take()
		if len(reports) != 1 || !reports[0].Recovered || !errors.Is(reports[0].Err, subscription.ErrMoved) || reports[0].at.Add(-reports[0].Downtime).After(moved) {
			t.Errorf("reported was %v, want one outage that is over", reports)
		}
	})
}

// The client does not know yet that a slot has moved.
func TestAMovedReplyIsFollowed(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, servers [2]*server) {
		servers[0].refuse = func(command []string) string {
			if command[0] != "ssubscribe" {
				return ""
			}
			both.change(func() { both.owner = 1 })
			return "MOVED 1 127.0.0.1:7000"
		}
		mustSubscribe(t, sub, subscription.ShardChannels, "a")
		if both.reloads == 0 || len(servers[1].commands("ssubscribe")) != 1 {
			t.Errorf("%d reloads, and the new owner got %q", both.reloads, servers[1].commands("ssubscribe"))
		}
		synctest.Wait()
		if reports := l.take(); len(reports) != 1 || !reports[0].Recovered || reports[0].Downtime > 25*time.Millisecond {
			t.Errorf("reported was %v, want one outage of a moment that is over", reports)
		}
		pass(2 * time.Second)
		if len(servers[0].commands("ssubscribe")) != 1 {
			t.Error("the old owner is asked again")
		}
	})
}

// A node that was removed goes on answering.
func TestARemovedNodeIsLeft(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, servers [2]*server) {
		mustSubscribe(t, sub, subscription.Channels, "a")
		pass(time.Minute)
		removed := time.Now()
		both.change(func() { both.clients, both.owner = both.clients[1:], 0 })
		pass(12 * time.Second)
		mustBeReady(t, sub)
		if len(servers[1].commands("subscribe")) != 1 {
			t.Error("the other node is not subscribed to")
		}
		reports := l.take()
		last := reports[len(reports)-1]
		if from := last.at.Add(-last.Downtime); !last.Recovered || from.After(removed) || removed.Sub(from) > 11*time.Second {
			t.Errorf("reported was downtime since %v, want since at most 11 s before %v", from, removed)
		}
	})
}

// If the owner of a topic cannot be found, that is the failure.
func TestAnUnknownOwner(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, _ [2]*server) {
		both.change(func() { both.failure = errDown })
		if err := sub.Subscribe(t.Context(), subscription.ShardChannels, "a"); !errors.Is(err, errDown) {
			t.Errorf("Subscribe: %v, want the error of the client", err)
		}
		if err := sub.Ready(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("Ready: %v, want the error of the client", err)
		}
		both.change(func() { both.failure = nil })
		mustBeReadyInTheEnd(t, sub)
	})
}

// A pattern may match channels of any server of a Ring.
func TestAPatternIsOnAllServersOfARing(t *testing.T) {
	onTwo(t, inRing, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, servers [2]*server) {
		mustSubscribe(t, sub, subscription.Patterns, "a*")
		for i, s := range servers {
			if len(s.commands("psubscribe")) != 1 {
				t.Errorf("server %d got %q", i, s.commands("psubscribe"))
			}
		}
		if got := sub.Topics(subscription.Patterns); !slices.Equal(got, []string{"a*"}) {
			t.Errorf("topics are %q, want the pattern once", got)
		}
		both.change(func() { both.clients = both.clients[:1] })
		pass(3 * time.Second)
		servers[1].push("pmessage", "a*", "ab", "1")
		synctest.Wait()
		if got := l.received(); len(got) > 0 {
			t.Errorf("received %q from a server that is no part of the Ring", got)
		}
	})
}

// A Ring gives topics to other servers without notice.
func TestATopicFollowsTheRing(t *testing.T) {
	onTwo(t, inRing, func(t *testing.T, sub *subscription.Subscription, l *log, both *spread, servers [2]*server) {
		mustSubscribe(t, sub, subscription.Channels, "a", "b")
		both.change(func() { both.clients, both.owner = slices.Clone(both.clients[1:]), 0 })
		pass(2 * time.Second)
		mustBeReady(t, sub)
		if got := servers[1].commands("subscribe"); len(got) != 1 || len(got[0]) != 3 {
			t.Errorf("the new owner got %q, want one command for both", got)
		}
		servers[1].push("message", "b", "1")
		synctest.Wait()
		if got := l.received(); !slices.Equal(got, []string{"b: 1"}) {
			t.Errorf("received %q, want the message of the new owner", got)
		}
	})
}

// A pattern that is released on a server that is down was the last one to wait for.
func TestReadyReturnsWhenAPatternIsReleased(t *testing.T) {
	onTwo(t, inRing, func(t *testing.T, sub *subscription.Subscription, _ *log, both *spread, servers [2]*server) {
		servers[1].set(&servers[1].down, true)
		if err := sub.Subscribe(t.Context(), subscription.Patterns, "a*"); !errors.Is(err, errDown) {
			t.Fatalf("Subscribe: %v, want that one server is down", err)
		}
		sub.Start()
		pass(10 * time.Second)
		dials := len(servers[1].dialed())
		for len(servers[1].dialed()) == dials { // until an attempt has just failed
			pass(time.Millisecond)
		}
		both.change(func() { both.clients = slices.Clone(both.clients[:1]) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := sub.Ready(ctx); err != nil {
			t.Errorf("Ready: %v, want nil when the server is no part of the Ring", err)
		}
	})
}

// Without a connection there is nothing to check the nodes of a cluster for.
func TestAClusterThatIsDownIsNotAskedForItsNodes(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, _ *log, both *spread, servers [2]*server) {
		for _, s := range servers {
			s.set(&s.down, true)
		}
		_ = sub.Subscribe(t.Context(), subscription.Channels, "a")
		sub.Start()
		pass(time.Minute)
		both.change(func() {
			if both.checks > 0 {
				t.Errorf("asked %d times", both.checks)
			}
		})
	})
}

// A closed Subscription refuses also what it has already.
func TestAClosedClusterSubscriptionRefuses(t *testing.T) {
	onTwo(t, inCluster, func(t *testing.T, sub *subscription.Subscription, _ *log, _ *spread, _ [2]*server) {
		mustSubscribe(t, sub, subscription.ShardChannels, "a")
		sub.Close()
		if err := sub.Subscribe(t.Context(), subscription.ShardChannels, "a"); err != subscription.ErrClosed { //nolint:errorlint // it must be the error itself
			t.Errorf("Subscribe: %v, want ErrClosed itself", err)
		}
	})
}

func TestARingNeedsATopic(t *testing.T) {
	onTwo(t, inRing, func(t *testing.T, sub *subscription.Subscription, l *log, _ *spread, _ [2]*server) {
		if err := sub.Subscribe(t.Context(), subscription.Patterns); err != nil {
			t.Fatal(err)
		}
		var f *subscription.Failure
		if !errors.As(sub.Ready(t.Context()), &f) || f.Op != "psubscribe" || len(f.Channels) > 0 {
			t.Errorf("Ready: %v, want a Failure without topics", f)
		}
		mustSubscribe(t, sub, subscription.Channels, "a")
		before := l.failed()
		if err := errors.Join(sub.Unsubscribe(t.Context(), subscription.Channels), sub.Subscribe(t.Context(), subscription.Channels)); err != nil {
			t.Fatal(err)
		}
		if n := l.failed(); n != before {
			t.Errorf("%d failures more for a Subscribe of nothing to a subscription that is in use", n-before)
		}
	})
}
