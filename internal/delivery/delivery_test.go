// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/delivery"
)

type (
	arrival = delivery.Arrival
	key     = delivery.Key
)

// What each arrival tells, step by step.
func TestArrivals(t *testing.T) {
	type step struct {
		number int64
		want   arrival
	}
	duplicate := arrival{Duplicate: true}
	for _, tt := range []struct {
		name, reason string
		steps        []step
	}{
		{"in order", "nothing is missing", []step{{1, arrival{}}, {2, arrival{}}, {3, arrival{}}}},
		{"from the middle", "what was published before was not missed", []step{{900, arrival{}}, {901, arrival{}}}},
		{"before the base", "it is neither missing nor a duplicate", []step{{9, arrival{}}, {8, arrival{}}, {8, arrival{}}, {10, arrival{}}}},
		{"a gap", "told at once", []step{{1, arrival{}}, {4, arrival{Skipped: 2}}, {5, arrival{}}}},
		{"out of order", "it is no loss", []step{{1, arrival{}}, {3, arrival{Skipped: 1}}, {2, arrival{}}, {4, arrival{}}}},
		{"overtaken by many", "only time decides", []step{{1, arrival{}}, {100_000, arrival{Skipped: 99_998}}, {2, arrival{}}, {50_000, arrival{}}, {99_999, arrival{}}, {100_001, arrival{}}}},
		{"again", "a duplicate, as often as it comes", []step{{1, arrival{}}, {1, duplicate}, {2, arrival{}}, {1, duplicate}, {2, duplicate}}},
		{"late, and again", "once each", []step{{1, arrival{}}, {9, arrival{Skipped: 7}}, {2, arrival{}}, {5, arrival{}}, {8, arrival{}}, {2, duplicate}, {5, duplicate}, {8, duplicate}, {9, duplicate}, {6, arrival{}}}},
		{"largest jump", "an outage may be long", []step{{1, arrival{}}, {1<<32 + 2, arrival{Skipped: 1 << 32}}, {2, arrival{}}}},
		{"larger jump", "the number is wrong, so the stream begins anew", []step{{1, arrival{}}, {1 << 53, arrival{Skipped: 1<<53 - 2}}, {2, arrival{}}, {2, arrival{}}, {1 << 53, duplicate}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s delivery.Streams
			for i, step := range tt.steps {
				if got := s.Arrive(key{Source: "a"}, "", step.number, 0); got != step.want {
					t.Errorf("step %d, number %d: got %+v, want %+v: %s", i, step.number, got, step.want, tt.reason)
				}
			}
		})
	}
}

// What is missing is lost five seconds after it was found missing, and once.
func TestExpire(t *testing.T) {
	var s delivery.Streams
	s.Arrive(key{Source: "a"}, "one", 1, 0)
	s.Arrive(key{Source: "a"}, "one", 4, time.Second)
	s.Arrive(key{Source: "a"}, "one", 6, 2*time.Second)
	s.Arrive(key{Source: "b"}, "two", 1, 0)
	s.Arrive(key{Source: "b"}, "two", 3, 2*time.Second)
	for _, step := range []struct {
		now     time.Duration
		want    []delivery.Loss
		waiting bool
	}{
		{6*time.Second - 1, nil, true},
		{6 * time.Second, []delivery.Loss{{Template: "one", Messages: 2}}, true},
		{7 * time.Second, []delivery.Loss{{Template: "two", Messages: 1}, {Template: "one", Messages: 1}}, false},
		{time.Hour, nil, false},
	} {
		if got := s.Expire(step.now); !slices.Equal(got, step.want) || s.Waiting() != step.waiting {
			t.Errorf("at %v %v is lost, waiting %v, want %v, %v", step.now, got, s.Waiting(), step.want, step.waiting)
		}
	}
	for _, number := range []int64{2, 2, 4, 5} { // what comes between lost ones may be late
		if got := s.Arrive(key{Source: "a"}, "one", number, time.Hour); got != (arrival{}) {
			t.Errorf("number %d, late: %+v, want nothing", number, got)
		}
	}
	for _, number := range []int64{1, 6} {
		if got := s.Arrive(key{Source: "a"}, "one", number, time.Hour); !got.Duplicate {
			t.Errorf("number %d, again: %+v, want a duplicate", number, got)
		}
	}
}

// All streams together keep 65,536 ranges of missing numbers. With one more, the first of the
// stream that needs it is lost at once.
func TestGapsAreBounded(t *testing.T) {
	var s delivery.Streams
	streams := []key{{Source: "a"}, {Source: "b"}}
	number := int64(1)
	arrive := func(k key, number int64, want arrival) {
		t.Helper()
		if got := s.Arrive(k, "", number, 0); got != want {
			t.Fatalf("number %d of %s: %+v, want %+v", number, k.Source, got, want)
		}
	}
	for _, k := range streams {
		arrive(k, number, arrival{})
	}
	for range delivery.MaxGaps / 2 {
		number += 3 // two are missing
		for _, k := range streams {
			arrive(k, number, arrival{Skipped: 2})
		}
	}
	a, b := streams[0], streams[1]
	arrive(a, number+3, arrival{Skipped: 2, Lost: 2})
	arrive(a, 3, arrival{}) // it is lost already
	arrive(b, 2, arrival{})
	arrive(b, 3, arrival{}) // there is room for one now
	arrive(a, number+5, arrival{Skipped: 1})
	arrive(a, number+8, arrival{Skipped: 2, Lost: 2})
	var lost int64
	for _, loss := range s.Expire(delivery.Patience) {
		lost += loss.Messages
	}
	if want := int64(2*delivery.MaxGaps - 1); lost != want || s.Waiting() {
		t.Errorf("lost after all are %d, want %d", lost, want)
	}
	for i := range int64(delivery.MaxGaps) { // there is room for all again
		arrive(a, number+10+2*i, arrival{Skipped: 1})
	}
	s.Forget("", false)
	s.Arrive(a, "", 1, 0)
	arrive(a, 3, arrival{Skipped: 1})
}

// Two pipelines that are filled in turn, and sent one after the other, overtake each other's
// messages thousands of times.
func TestLargePipelines(t *testing.T) {
	var s delivery.Streams
	const messages = 20_000
	for _, first := range []int64{1, 2} {
		for n := first; n <= messages; n += 2 {
			if got := s.Arrive(key{Source: "a"}, "", n, 0); got.Lost > 0 || got.Duplicate {
				t.Fatalf("number %d: %+v, want neither lost nor a duplicate", n, got)
			}
		}
	}
	if s.Waiting() {
		t.Error("something is still missing")
	}
}

// A sender that may publish can send any number. When it stops, counting goes on.
func TestAForgedNumber(t *testing.T) {
	for name, forged := range map[string]int64{"a larger jump than any": 1 << 53, "the largest jump": 1<<32 + 4} {
		t.Run(name, func(t *testing.T) {
			var s delivery.Streams
			k, number, now := key{Source: "a"}, int64(0), time.Duration(0)
			next := func() arrival {
				number++
				now += time.Second
				s.Expire(now)
				return s.Arrive(k, "", number, now)
			}
			for range 3 {
				next()
			}
			s.Arrive(k, "", forged, now)
			for range 30 {
				next()
			}
			number += 5
			if got := next(); got.Skipped != 5 {
				t.Errorf("%d are skipped, want 5", got.Skipped)
			}
			if got := s.Expire(now + delivery.Patience); len(got) != 1 || got[0].Messages != 5 {
				t.Errorf("lost is %v, want 5 messages", got)
			}
		})
	}
}

// The template of a channel may be its name, which may be long. It is not kept then.
func TestTemplatesOfLosses(t *testing.T) {
	var s delivery.Streams
	for _, tt := range []struct{ template, want string }{{"user.{id}", "user.{id}"}, {strings.Repeat("x", 256), strings.Repeat("x", 256)}, {strings.Repeat("x", 257), ""}} {
		k := key{Source: "a", Channel: tt.template}
		s.Arrive(k, tt.template, 1, 0)
		s.Arrive(k, tt.template, 3, 0)
		if got := s.Expire(delivery.Patience); len(got) != 1 || got[0].Template != tt.want {
			t.Errorf("with a template of %d bytes: %v", len(tt.template), got)
		}
	}
}

// Publishers, channels and patterns have streams of their own.
func TestStreamsAreApart(t *testing.T) {
	var s delivery.Streams
	for _, k := range []key{{"a", "c", ""}, {"b", "c", ""}, {"a", "d", ""}, {"a", "c", "*"}, {"a", "", "c"}, {"", "a", "c"}} {
		if got := s.Arrive(k, "", 1, 0); got != (arrival{}) {
			t.Errorf("%+v: %+v, want nothing", k, got)
		}
	}
	if n := s.Len(); n != 6 {
		t.Errorf("%d streams, want 6", n)
	}
}

// A topic that is forgotten begins anew, and no other does.
func TestForget(t *testing.T) {
	var s delivery.Streams
	keys := []key{{"a", "c", ""}, {"b", "c", ""}, {"a", "c", "*"}, {"a", "d", "*"}, {"a", "*", ""}}
	for _, step := range []struct {
		name      string
		isPattern bool
		forgotten []int
	}{{"c", false, []int{0, 1}}, {"*", true, []int{2, 3}}, {"*", false, []int{4}}, {"unknown", false, nil}} {
		for _, k := range keys {
			s.Arrive(k, "", 1, 0)
			s.Arrive(k, "", 3, 0)
		}
		s.Forget(step.name, step.isPattern)
		if n := s.Len(); n != len(keys)-len(step.forgotten) {
			t.Errorf("%d streams without %q, want %d", n, step.name, len(keys)-len(step.forgotten))
		}
		for i, k := range keys {
			got := s.Arrive(k, "", 6, 0).Skipped
			if want := int64(2); (got == want) == slices.Contains(step.forgotten, i) {
				t.Errorf("without %q, pattern %v, %d are missing of %+v", step.name, step.isPattern, got, k)
			}
		}
		for _, k := range keys {
			s.Forget(k.Channel, false)
			s.Forget(k.Pattern, true)
		}
		if s.Len() != 0 || s.Waiting() {
			t.Errorf("%d streams are left, waiting %v", s.Len(), s.Waiting())
		}
	}
}

// There are never more than 65,536 streams. What has not been used for the longest time goes
// first, and with it what it waits for.
func TestStreamsAreBounded(t *testing.T) {
	var s delivery.Streams
	name := func(i int) key { return key{Source: "a", Channel: strconv.Itoa(i)} }
	for i := range delivery.MaxStreams {
		s.Arrive(name(i), "", 1, 0)
	}
	s.Arrive(name(1), "", 3, 0)
	s.Arrive(name(0), "", 3, 0)
	for i := range delivery.MaxStreams - 1 { // all but 0, which was used last
		s.Arrive(name(delivery.MaxStreams+i), "", 1, 0)
	}
	if n := s.Len(); n != delivery.MaxStreams {
		t.Errorf("%d streams, want %d", n, delivery.MaxStreams)
	}
	if losses := s.Expire(delivery.Patience); len(losses) != 1 || losses[0].Messages != 1 {
		t.Errorf("lost is %v, want one message of the stream that was kept", losses)
	}
	if got := s.Arrive(name(0), "", 4, 0); got != (arrival{}) {
		t.Errorf("the stream that was used last: %+v, want the next message", got)
	}
	if got := s.Arrive(name(1), "", 1, 0); got.Duplicate {
		t.Error("the stream that was not used is still there")
	}
}

// An arrival of a known stream allocates nothing, neither in order nor with gaps.
func TestAllocationsOfArrivals(t *testing.T) {
	var s delivery.Streams
	k, number := key{"q83vEjRWeJA", "reports", ""}, int64(1)
	arrive := func() {
		s.Arrive(k, "", number, 0)
		s.Arrive(k, "", number+2, 0)
		number += 3
	}
	for range 100 {
		arrive()
	}
	if got := testing.AllocsPerRun(1000, arrive); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
