// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// server is a Redis in memory, for the tests of this package: all goroutines are in the
// bubble of synctest, so that time passes only when nothing else happens.
type server struct {
	mu      sync.Mutex
	down    bool                                  // dials fail
	silent  int                                   // the first so many connections are read, and not answered
	stalled bool                                  // commands are not even read
	refuse  func(command []string) (reply string) // "" : the command is done
	ignored string                                // the command that is not answered
	delay   time.Duration                         // of dials
	dials   []time.Time
	log     [][]string
	conns   []net.Conn
}

var errDown = errors.New("connection refused")

// client returns a client of the server.
func (s *server) client(t *testing.T) *redis.Client {
	rdb := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:6379", Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1,
		Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if err := s.takeTime(ctx); err != nil {
				return nil, err
			}
			return s.dial()
		},
	})
	t.Cleanup(func() {
		_ = rdb.Close()
		if redis.Version() < "9.23" {
			s.cut() // it leaves connections open whose handshake has failed (redis/go-redis#3982)
		}
	})
	return rdb
}

// takeTime waits for as long as dials take.
func (s *server) takeTime(ctx context.Context) error {
	s.mu.Lock()
	delay := s.delay
	s.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// slow makes dials take a time.
func (s *server) slow(delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = delay
}

// ignore sets the command that is not answered.
func (s *server) ignore(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ignored = name
}

func (s *server) dial() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials = append(s.dials, time.Now())
	if s.down {
		return nil, errDown
	}
	ours, theirs := net.Pipe()
	s.conns = append(s.conns, ours)
	go s.serve(ours, len(s.dials))
	return theirs, nil
}

func (s *server) serve(conn net.Conn, number int) {
	defer conn.Close()
	// A pipe has no buffer: replies wait here, as they do in a socket.
	replies := make(chan string, 100)
	defer close(replies)
	go func() {
		for reply := range replies {
			_, _ = io.WriteString(conn, reply)
		}
	}()
	in := bufio.NewReader(conn)
	for {
		command, err := readCommand(in)
		if err != nil {
			return
		}
		if s.isSilent(number) {
			continue
		}
		replies <- s.answer(command)
		for s.is(&s.stalled) {
			pass(time.Second) // of the bubble's time
		}
	}
}

func (s *server) isSilent(number int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return number <= s.silent
}

// silence stops the replies to the connections that there are.
func (s *server) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = len(s.dials)
}

func (s *server) is(flag *bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *flag
}

func (s *server) set(flag *bool, to bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*flag = to
}

func (s *server) answer(command []string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, command)
	if s.refuse != nil {
		if reply := s.refuse(command); reply != "" {
			return "-" + reply + "\r\n"
		}
	}
	switch name := command[0]; {
	case name == s.ignored:
		return ""
	case name == "hello":
		return "*2\r\n$5\r\nproto\r\n:2\r\n"
	case name == "ping":
		return bulks("pong", "")
	case strings.HasSuffix(name, "subscribe"):
		var replies strings.Builder
		for _, topic := range command[1:] {
			replies.WriteString(bulks(name, topic, ":1"))
		}
		return replies.String()
	default:
		return "-ERR unknown command\r\n"
	}
}

// push sends a message, or a reply that no command has caused, to all connections.
func (s *server) push(texts ...string) {
	s.mu.Lock()
	conns := slices.Clone(s.conns)
	s.mu.Unlock()
	for _, conn := range conns {
		_, _ = io.WriteString(conn, bulks(texts...))
	}
}

// cut ends all connections.
func (s *server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	s.conns = nil
}

// dialed returns when connections were made, or were to be.
func (s *server) dialed() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dials)
}

// commands returns the commands called name so far.
func (s *server) commands(name string) (commands [][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, command := range s.log {
		if command[0] == name {
			commands = append(commands, command)
		}
	}
	return commands
}

// bulks is an array of strings; one that begins with a colon is a number.
func bulks(texts ...string) string {
	var reply strings.Builder
	_, _ = fmt.Fprintf(&reply, "*%d\r\n", len(texts))
	for _, text := range texts {
		if strings.HasPrefix(text, ":") {
			_, _ = fmt.Fprintf(&reply, "%s\r\n", text)
			continue
		}
		_, _ = fmt.Fprintf(&reply, "$%d\r\n%s\r\n", len(text), text)
	}
	return reply.String()
}

func readCommand(in *bufio.Reader) (command []string, err error) {
	number := func() (int, error) {
		line, err := in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number()
	for ; err == nil && n > 0; n-- {
		var size int
		if size, err = number(); err != nil {
			break
		}
		arg := make([]byte, size+2)
		_, err = io.ReadFull(in, arg)
		command = append(command, string(arg[:size]))
	}
	if len(command) > 0 {
		command[0] = strings.ToLower(command[0])
	}
	return command, err
}

// log is an Observer and a consumer that keeps a record of its calls.
type log struct {
	mu         sync.Mutex
	failures   []error
	reports    []report
	reconnects int
	closed     int // calls of Closed
	removed    []string
	messages   []string
}

type report struct {
	*subscription.Failure
	at time.Time
}

func (l *log) Failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, err)
}

// failed returns how many failures there were.
func (l *log) failed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.failures)
}

func (l *log) Reconnected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reconnects++
}

func (l *log) Report(f *subscription.Failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reports = append(l.reports, report{f, time.Now()})
}

func (l *log) Removed(_ subscription.Kind, names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removed = append(l.removed, names...)
}

func (l *log) namesRemoved() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.removed)
}

func (l *log) Closed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed++
}

func (l *log) deliver(m *redis.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append(l.messages, m.Channel+": "+m.Payload)
}

// take returns the reports since the last call.
func (l *log) take() []report {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.reports
	l.reports = nil
	return taken
}

func (l *log) received() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.messages)
}

// inBubble runs test in a bubble of synctest, with a Subscription that is closed in the
// end. The bubble fails the test if a goroutine is left.
func inBubble(t *testing.T, client func(t *testing.T) subscription.Subscriber, test func(t *testing.T, sub *subscription.Subscription, l *log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := new(log)
		sub := subscription.New(subscription.Config{Client: client(t), Deliver: l.deliver, Observer: l, PingSilence: 5 * time.Second})
		defer sub.Close()
		test(t, sub, l)
	})
}

// onServer is inBubble with a client of s.
func onServer(t *testing.T, s *server, test func(t *testing.T, sub *subscription.Subscription, l *log)) {
	t.Helper()
	inBubble(t, func(t *testing.T) subscription.Subscriber { return s.client(t) }, test)
}

func mustSubscribe(t *testing.T, sub *subscription.Subscription, k subscription.Kind, names ...string) {
	t.Helper()
	if err := sub.Subscribe(t.Context(), k, names...); err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	mustBeReady(t, sub)
}

func mustBeReady(t *testing.T, sub *subscription.Subscription) {
	t.Helper()
	if err := sub.Ready(t.Context()); err != nil {
		t.Fatalf("Ready: %v", err)
	}
}

// pass lets time of the bubble pass.
func pass(d time.Duration) { <-time.After(d) }
