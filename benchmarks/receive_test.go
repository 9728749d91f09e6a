// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// Each receiver takes all messages of a backlog, and makes a consumer span of each,
// within the trace of its producer, if it is said to.
func TestReceiversDoWhatTheySay(t *testing.T) {
	e, exporter := newTestEnv(t)
	silent := map[string]bool{Raw: true, RawLoop: true, Rueidis: true, Rueidisotel: true}
	for _, r := range receivers {
		for _, kind := range Kinds {
			for _, channels := range []int{1, 100} {
				s := Setting{Kind: kind, Size: Medium, Sampling: Sampled, Channels: channels}
				t.Run(r.name+"/"+s.String(), func(t *testing.T) {
					const messages = 300 // more than a channel holds
					bench, err := r.bench(e, s)
					if err != nil {
						t.Fatal(err)
					}
					exported(t, e, exporter)
					if err := bench.Run(messages, func(do func() error) error { return do() }); err != nil {
						t.Fatal(err)
					}
					producer := trace.SpanContextFromContext(e.context(s))
					consumers := 0
					for _, span := range exported(t, e, exporter) {
						if span.SpanKind() != trace.SpanKindConsumer {
							continue
						}
						consumers++
						if span.Parent().SpanID() != producer.SpanID() || span.SpanContext().TraceID() != producer.TraceID() {
							t.Fatalf("parent of %q is %v, want %v", span.Name(), span.Parent(), producer)
						}
					}
					want := messages
					if silent[r.name] {
						want = 0
					}
					if consumers != want {
						t.Errorf("%d consumer spans, want %d", consumers, want)
					}
				})
			}
		}
	}
}

// A subscription to many names gets the messages of all of them.
func TestSubscribed(t *testing.T) {
	e, _ := newTestEnv(t)
	bench, err := Subscribed(e, 100)
	if err != nil {
		t.Fatal(err)
	}
	// That they are so many, and no others, Do looks after.
	if err := bench.Run(1000, func(do func() error) error { return do() }); err != nil {
		t.Error(err)
	}
}

// Grow publishes and receives as many messages as it is asked to.
func TestGrow(t *testing.T) {
	e, exporter := newTestEnv(t)
	all, err := Grow(t.Context(), e, 10_000, 5_000, 5)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 5 || all[4].Messages != 10_000 {
		t.Fatalf("intervals are %v, want five up to 10000 messages", all)
	}
	for _, i := range all {
		if i.Nanoseconds <= 0 || i.Heap == 0 {
			t.Errorf("nothing was measured up to message %d: %v", i.Messages, i)
		}
	}
	consumers := 0
	for _, span := range exported(t, e, exporter) {
		if span.SpanKind() == trace.SpanKindConsumer {
			consumers++
		}
	}
	if consumers == 0 {
		t.Error("no consumer span was exported")
	}
}
