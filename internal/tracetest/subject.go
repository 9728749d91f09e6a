// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// Subject is a client under test, with the reports and the spans that it makes.
type Subject struct {
	*tracedpubsub.Client

	RDB     *redis.Client
	Reports *ReportLog
	Spans   *Recorder
}

// NewSubject returns a client of the server at addr. It is closed when the test ends,
// and all its spans must have ended then.
func NewSubject(t *testing.T, addr string, opts ...tracedpubsub.Option) *Subject {
	t.Helper()
	return NewSubjectWithOptions(t, &redis.Options{Addr: addr}, opts...)
}

// NewSubjectWithOptions is NewSubject with other options for go-redis than the address.
func NewSubjectWithOptions(t *testing.T, options *redis.Options, opts ...tracedpubsub.Option) *Subject {
	t.Helper()
	s := &Subject{RDB: redis.NewClient(options), Reports: NewReportLog(), Spans: NewRecorder(t)}
	t.Cleanup(func() {
		_ = s.RDB.Close()
		s.Spans.AssertAllEnded(t)
	})
	opts = slices.Concat([]tracedpubsub.Option{
		tracedpubsub.WithTracerProvider(s.Spans), tracedpubsub.WithErrorHandler(s.Reports.Handle),
	}, opts)
	s.Client = tracedpubsub.Wrap(s.RDB, opts...)
	return s
}

// Subscription subscribes to channels. The subscription is closed when the test ends.
func (s *Subject) Subscription(t *testing.T, channels ...string) *tracedpubsub.PubSub {
	t.Helper()
	sub := s.Subscribe(Context(t), channels...)
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

// ReadySubscription is Subscription, and waits until the server has confirmed it.
func (s *Subject) ReadySubscription(t *testing.T, channels ...string) *tracedpubsub.PubSub {
	t.Helper()
	return ReadySub(t, s.Subscribe(Context(t), channels...))
}
