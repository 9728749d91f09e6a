// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// subscribers returns the names of the connections of a server that have channels or patterns.
func subscribers(t *testing.T, rdb *redis.Client) (names []string) {
	t.Helper()
	clients, err := rdb.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatalf("CLIENT LIST: %v", err)
	}
	for line := range strings.Lines(clients) {
		if fields := clientFields(line); isSubscriber(fields) {
			names = append(names, fields["name"])
		}
	}
	return names
}

// clientFields returns the fields of a line of CLIENT LIST.
func clientFields(line string) map[string]string {
	fields := make(map[string]string)
	for _, field := range strings.Fields(line) {
		key, value, _ := strings.Cut(field, "=")
		fields[key] = value
	}
	return fields
}

func isSubscriber(fields map[string]string) bool {
	return fields["sub"] != "0" || fields["psub"] != "0" || fields["ssub"] != "0"
}

// assertNamed asserts that one connection has channels or patterns, and that it has the name.
func assertNamed(t *testing.T, rdb *redis.Client, name string) {
	t.Helper()
	tracetest.Eventually(t, fmt.Sprintf("one connection is called %q", name), func() bool {
		return slices.Equal(subscribers(t, rdb), []string{name})
	})
}

func TestClientSetName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, reason string
		protocol     int
		early        bool // the name is set before the first channel
		refused      bool // until the connection is lost
	}{
		{"RESP2, before the first channel", "a connection without channels may be named", 2, true, false},
		{"RESP2, with a channel", "a connection with channels may only subscribe and unsubscribe", 2, false, true},
		{"RESP3, before the first channel", "the order does not matter", 3, true, false},
		{"RESP3, with a channel", "a connection with channels may be named", 3, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := tracetest.Context(t)
			server, rdb := tracetest.StartServer(t)
			s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Protocol: tt.protocol, ClientName: "all"})
			var sub *tracedpubsub.PubSub
			if tt.early {
				sub = s.Subscription(t)
				setName(t, sub, "worker")
				if err := sub.Subscribe(ctx, "a"); err != nil {
					t.Fatal(err)
				}
			} else {
				sub = s.ReadySubscription(t, "a")
				setName(t, sub, "worker")
			}
			tracetest.WaitReady(t, sub)
			tracetest.PublishRaw(t, rdb, "a", "1")
			tracetest.AssertReceives(t, sub, "1") // the replies before it are no messages
			if tt.refused {
				got := s.Reports.WaitUntil(t, "the refusal", func(got []tracetest.Report) bool { return len(got) > 0 })[0]
				if got.Op != tracedpubsub.OpClientSetName || len(got.Channels) > 0 || got.Recovered || got.Downtime != 0 || got.Count != 1 {
					t.Errorf("reported was %+v, want the refusal of a name: %s", got.SubscriptionError, tt.reason)
				}
				if _, ok := tracetest.As[redis.Error](got.Err); !ok {
					t.Errorf("the cause is %v, want the reply of the server", got.Err)
				}
				assertNamed(t, rdb, "all")
			} else {
				assertNamed(t, rdb, "worker")
			}

			for i, payload := range []string{"2", "3"} {
				killConnection(t, rdb)
				tracetest.WaitForSubscribers(t, rdb, "a", 1)
				assertNamed(t, rdb, "worker")
				tracetest.PublishRaw(t, rdb, "a", payload)
				tracetest.AssertReceives(t, sub, payload)
				tracetest.EventuallyReady(t, sub)
				if i == 0 && tt.protocol == 3 {
					setName(t, sub, "")
					setName(t, sub, "worker")
				}
			}
			refusals := 0
			for _, r := range s.Reports.All() {
				if r.Op == tracedpubsub.OpClientSetName {
					refusals++
				}
			}
			if (refusals == 1) != tt.refused || refusals > 1 {
				t.Errorf("%d refusals were reported, refused: %v", refusals, tt.refused)
			}
		})
	}
}

func setName(t *testing.T, sub *tracedpubsub.PubSub, name string) {
	t.Helper()
	if err := sub.ClientSetName(t.Context(), name); err != nil {
		t.Fatalf("ClientSetName(%q): %v", name, err)
	}
}

// A name that the server never accepts is reported once, however many connections there are.
func TestARefusedName(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	s := tracetest.NewSubject(t, server.Addr())
	sub := s.ReadySubscription(t, "a")
	setName(t, sub, "no spaces, please")
	for range 2 {
		killConnection(t, rdb)
		tracetest.WaitForSubscribers(t, rdb, "a", 1)
		tracetest.EventuallyReady(t, sub)
	}
	tracetest.PublishRaw(t, rdb, "a", "hello")
	tracetest.AssertReceives(t, sub, "hello")
	refusals := func() (texts []string) {
		for _, r := range s.Reports.All() {
			if r.Op == tracedpubsub.OpClientSetName {
				texts = append(texts, r.Error())
			}
		}
		return texts
	}
	if got := refusals(); len(got) != 1 || !strings.HasPrefix(got[0], "tracedpubsub: client setname: ERR ") {
		t.Errorf("reported was %q, want one refusal", got)
	}
	setName(t, sub, "another\nbad one") // another name, another report
	s.Reports.WaitUntil(t, "the refusal of the second name", func([]tracetest.Report) bool { return len(refusals()) == 2 })
}

// An empty name removes the name of the client's options, on later connections too. A name
// that is set in an outage is that of the next connection.
func TestClientSetNameForLater(t *testing.T) {
	server, rdb := tracetest.StartServer(t)
	s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), ClientName: "all"})
	sub := s.ReadySubscription(t, "a")
	assertNamed(t, rdb, "all")
	setName(t, sub, "")
	assertNamed(t, rdb, "")
	killConnection(t, rdb)
	tracetest.WaitForSubscribers(t, rdb, "a", 1)
	assertNamed(t, rdb, "")
	tracetest.EventuallyReady(t, sub)

	server.Kill()
	setName(t, sub, "later")
	server.Restart()
	tracetest.WaitForSubscribers(t, rdb, "a", 1)
	assertNamed(t, rdb, "later")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sub.ClientSetName(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a canceled context: %v", err)
	}
	_ = sub.Close()
	if err := sub.ClientSetName(t.Context(), "x"); err != redis.ErrClosed { //nolint:errorlint // it is compared like this
		t.Errorf("after Close: %v", err)
	}
}

func TestClientSetNameOnARing(t *testing.T) {
	t.Parallel()
	s := newRingSubject(t)
	sub := s.ready(t, s.PSubscribe(tracetest.Context(t), "a*"))
	setName(t, sub, "worker")
	for _, admin := range s.admins {
		assertNamed(t, admin, "worker")
	}
	s.addServer(t, "3")
	s.ring.SetAddrs(s.addrs())
	assertNamed(t, s.admins["3"], "worker") // patterns are on all servers
}

func testNamesOnACluster(t *testing.T, s *clusterSubject) {
	channels := s.cluster.spread(t, "named", 1)
	sub := s.ready(t, s.SSubscribe(tracetest.Context(t), channels[:2]...))
	setName(t, sub, "worker")
	if err := sub.SSubscribe(t.Context(), channels[2]); err != nil { // on a third server
		t.Fatal(err)
	}
	tracetest.WaitReady(t, sub)
	for _, master := range s.cluster.Masters() {
		assertNamed(t, s.cluster.admin(master), "worker")
	}
}

// recordingConn keeps what is written to it.
type recordingConn struct {
	net.Conn

	mu      *sync.Mutex
	written *bytes.Buffer
}

func (c recordingConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.written.Write(b)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// Subscribe returns when its command is written, and not just the name before it.
func TestSubscribeAfterClientSetNameIsWritten(t *testing.T) {
	server, _ := tracetest.StartServer(t)
	var mu sync.Mutex
	var written bytes.Buffer
	s := tracetest.NewSubjectWithOptions(t, &redis.Options{Addr: server.Addr(), Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return recordingConn{conn, &mu, &written}, err
	}})
	for range 50 {
		sub := s.Subscribe(t.Context())
		setName(t, sub, "worker")
		if err := sub.Subscribe(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		commands := strings.ToLower(written.String())
		written.Reset()
		mu.Unlock()
		if _, after, ok := strings.Cut(commands, "worker"); !ok || !strings.Contains(after, "subscribe") {
			t.Fatalf("when Subscribe returned, this was written: %q", commands)
		}
		_ = sub.Close()
	}
}
