// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// promptly is what the design's 100 ms are on a machine that others use, too.
const promptly = time.Second

// subject is a client under test: what it reported, and the spans it made.
type subject struct {
	*tracedpubsub.Client

	rdb     *redis.Client
	reports *troubleLog
	spans   *recorder
}

// newSubject wraps a client of its own for the server at addr. When the test
// ends, as many spans must have ended as have started.
func newSubject(t *testing.T, addr string, opts ...tracedpubsub.Option) *subject {
	t.Helper()
	return subjectOf(t, &redis.Options{Addr: addr}, opts...)
}

func subjectOf(t *testing.T, options *redis.Options, opts ...tracedpubsub.Option) *subject {
	t.Helper()
	s := &subject{rdb: redis.NewClient(options), reports: newTroubleLog(), spans: newRecorder(t)}
	t.Cleanup(func() {
		_ = s.rdb.Close()
		s.spans.mu.Lock()
		defer s.spans.mu.Unlock()
		if started, ended := s.spans.started, len(s.spans.ended); started != ended {
			t.Errorf("%d spans started, %d ended", started, ended)
		}
	})
	opts = slices.Concat([]tracedpubsub.Option{
		tracedpubsub.WithTracerProvider(s.spans), tracedpubsub.WithErrorHandler(s.reports.handle),
	}, opts)
	s.Client = tracedpubsub.Wrap(s.rdb, opts...)
	return s
}

// subscribe subscribes; the subscription is closed with the test.
func (s *subject) subscribe(t *testing.T, channels ...string) *tracedpubsub.PubSub {
	t.Helper()
	sub := s.Subscribe(testContext(t), channels...)
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

// subscribed is subscribe, and the server has confirmed it.
func (s *subject) subscribed(t *testing.T, channels ...string) *tracedpubsub.PubSub {
	t.Helper()
	sub := s.subscribe(t, channels...)
	mustBeReady(t, sub)
	return sub
}

func mustBeReady(t *testing.T, sub *tracedpubsub.PubSub) {
	t.Helper()
	if err := sub.Ready(testContext(t)); err != nil {
		t.Fatalf("Ready: %v", err)
	}
}

// trouble is a SubscriptionError and when the error handler got it.
type trouble struct {
	*tracedpubsub.SubscriptionError
	at time.Time
}

// troubleLog is an error handler that remembers.
type troubleLog struct {
	mu      sync.Mutex
	got     []trouble
	count   int
	other   []error
	changed chan struct{}
}

func newTroubleLog() *troubleLog { return &troubleLog{changed: make(chan struct{})} }

func (r *troubleLog) handle(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := errors.AsType[*tracedpubsub.SubscriptionError](err); ok {
		r.got = append(r.got, trouble{e, time.Now()})
		r.count++
	} else {
		r.other = append(r.other, err)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// all returns what has been reported so far.
func (r *troubleLog) all() []trouble {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// forget forgets what was reported before a moment.
func (r *troubleLog) forget(before time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = slices.DeleteFunc(r.got, func(e trouble) bool { return e.at.Before(before) })
}

// wait waits until enough says that what was reported is enough.
func (r *troubleLog) wait(t *testing.T, what string, enough func([]trouble) bool) []trouble {
	t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		got, changed := slices.Clone(r.got), r.changed
		r.mu.Unlock()
		if enough(got) {
			return got
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%s was not reported; got %v", what, printed(got))
		}
	}
}

// first waits for a report of op about name, and returns it.
func (r *troubleLog) first(t *testing.T, op, name string) trouble {
	t.Helper()
	var found trouble
	r.wait(t, op+" "+name, func(got []trouble) bool {
		i := slices.IndexFunc(got, func(e trouble) bool { return e.Op == op && slices.Contains(e.Channels, name) })
		if i >= 0 {
			found = got[i]
		}
		return i >= 0
	})
	return found
}

// await waits for a report of op about name.
func (r *troubleLog) await(t *testing.T, op, name string) {
	t.Helper()
	_ = r.first(t, op, name)
}

func printed(got []trouble) []string {
	var lines []string
	for _, e := range got {
		lines = append(lines, e.Error())
	}
	return lines
}

// eventuallyHolds polls a fact that nothing tells of.
func eventuallyHolds(t *testing.T, what string, holds func() bool) {
	t.Helper()
	holdsWithin(t, patience, what, holds)
}

// holdsWithin is eventuallyHolds for what takes longer.
func holdsWithin(t *testing.T, patience time.Duration, what string, holds func() bool) {
	t.Helper()
	late := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%v later it still does not hold: %s", patience, what)
		}
	}
}

// returnsPromptly fails the test when call does not.
func returnsPromptly(t *testing.T, what string, call func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		call()
	}()
	endsPromptly(t, what, done)
}

func endsPromptly(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(promptly):
		t.Fatalf("%s: not after %v\n%s", what, promptly, strings.Join(libraryGoroutines(), "\n\n"))
	}
}

var startedByLibrary = regexp.MustCompile(`created by github\.com/tracedpubsub/tracedpubsub(/internal/subscription)?\.`)

// libraryGoroutines are the goroutines that the library has started.
func libraryGoroutines() []string {
	buf := make([]byte, 1<<20)
	var found []string
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if startedByLibrary.MatchString(stack) {
			found = append(found, stack)
		}
	}
	return found
}

// listeners is how many connections of the server are subscribed to channel.
func listeners(t *testing.T, rdb *redis.Client, channel string) int64 {
	t.Helper()
	n, err := rdb.PubSubNumSub(t.Context(), channel).Result()
	if err != nil {
		t.Fatalf("PUBSUB NUMSUB: %v", err)
	}
	return n[channel]
}

func waitForListeners(t *testing.T, rdb *redis.Client, channel string, n int64) {
	t.Helper()
	eventuallyHolds(t, fmt.Sprintf("%d connections listen on %s", n, channel), func() bool { return listeners(t, rdb, channel) == n })
}

// publishRaw publishes without the library.
func publishRaw(t *testing.T, rdb *redis.Client, channel string, payloads ...string) {
	t.Helper()
	_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for _, payload := range payloads {
			p.Publish(t.Context(), channel, payload)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("publish on %s: %v", channel, err)
	}
}

// numbered returns n payloads, beginning with from.
func numbered(from, n int) []string {
	payloads := make([]string, n)
	for i := range payloads {
		payloads[i] = strconv.Itoa(from + i)
	}
	return payloads
}

// assertReceives asserts that the next messages are the given ones.
func assertReceives(t *testing.T, sub *tracedpubsub.PubSub, payloads ...string) {
	t.Helper()
	ctx := testContext(t)
	for i, want := range payloads {
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			t.Fatalf("message %d: %v, want %.40q", i, err, want)
		}
		if m.Payload != want {
			t.Fatalf("message %d is %.40q, want %.40q", i, m.Payload, want)
		}
	}
}

// unlimited are arguments for a server that lets a subscriber be as slow as it
// likes.
var unlimited = []string{"--client-output-buffer-limit", "pubsub", "0", "0", "0"}

func startServer(t *testing.T, args ...string) (*redistest.Server, *redis.Client) {
	t.Helper()
	server := redistest.Start(t, args...)
	return server, server.Client()
}
