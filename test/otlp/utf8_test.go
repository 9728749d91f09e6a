// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// The names and the payload that are not valid UTF-8, and what is exported in their place.
const (
	channel, exportedChannel = "user.\xff\xfe", "user.\uFFFD"
	pattern, exportedPattern = "[u\xff]ser.*", "[u\uFFFD]ser.*"
	payload, exportedPayload = "\x1f\x8b\xff", "\x1f\uFFFD"
)

// way is a way on which bytes that are not valid UTF-8 come to a span or to a metric.
type way struct {
	name, reason string
	run          func(ctx context.Context, t *testing.T, s *scene)

	spans   []string // their names
	texts   []string // the other texts of the spans that have U+FFFD
	metrics []string // the texts of the metrics that have U+FFFD
}

// scene is a server, and an application that exports what it does with it.
type scene struct {
	*exporting

	server *redistest.Server
}

func (s *scene) client(opts ...tracedpubsub.Option) *tracedpubsub.Client {
	return tracedpubsub.Wrap(s.server.Client(), append(s.options(), opts...)...)
}

// instrumented returns a client with the hook.
func (s *scene) instrumented(t *testing.T, opts ...tracedpubsub.Option) *redis.Client {
	t.Helper()
	rdb := s.server.Client()
	err := tracedpubsub.Instrument(rdb, func(string) bool { return true }, append(s.options(), opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return rdb
}

// received subscribes to the pattern "user.*", and lets a client without the library
// publish payload.
func (s *scene) received(ctx context.Context, t *testing.T, opts ...tracedpubsub.Option) *tracedpubsub.PubSub {
	t.Helper()
	return s.published(t, s.client(opts...).PSubscribe(ctx, "user.*"))
}

func (s *scene) published(t *testing.T, sub *tracedpubsub.PubSub) *tracedpubsub.PubSub {
	t.Helper()
	sub = tracetest.ReadySub(t, sub)
	tracetest.PublishRaw(t, s.server.Client(), channel, payload)
	return sub
}

// template is a template that depends on the channel, as one for few channels may do.
var template = tracedpubsub.WithDestinationTemplate(func(channel string) string { return channel + ".events" })

// Whatever the names and payloads are, everything is exported: the spans of other libraries
// in the same batch, and all metrics, also in the exports that follow.
func TestInvalidUTF8IsExported(t *testing.T) {
	server := redistest.Start(t)
	for _, protocol := range protocols {
		for _, way := range slices.Concat(producerWays, consumerWays, otherWays) {
			t.Run(protocol.name+"/"+way.name, func(t *testing.T) {
				ctx, s := tracetest.Context(t), &scene{export(t, protocol), server}
				way.run(ctx, t, s)
				for range 2 {
					if spans, metrics := s.flush(ctx); spans != nil || metrics != nil {
						t.Errorf("%s; not exported: %v, %v", way.reason, spans, metrics)
					}
				}
				assertSame(t, "the spans are", s.spanNames(), append([]string{"another"}, way.spans...))
				spans, metrics := s.texts(t)
				assertSame(t, "the texts of spans with U+FFFD are", replaced(t, spans), replaced(t, slices.Concat(way.spans, way.texts)))
				assertSame(t, "the texts of metrics with U+FFFD are", replaced(t, metrics), way.metrics)
				assertMetrics(t, s.metricNames())
			})
		}
	}
}

// replaced returns the different texts that have U+FFFD. It asserts that all are valid.
func replaced(t *testing.T, texts []string) (found []string) {
	t.Helper()
	for _, text := range texts {
		if !utf8.ValidString(text) {
			t.Errorf("%q was exported", text)
		}
		if strings.ContainsRune(text, utf8.RuneError) {
			found = append(found, text)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func assertSame(t *testing.T, what string, got, want []string) {
	t.Helper()
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s %q, want %q", what, got, want)
	}
}

// assertMetrics asserts that two exports have arrived, with the same metrics, of which one is
// of another library and at least two are of this one.
func assertMetrics(t *testing.T, exports [][]string) {
	t.Helper()
	if len(exports) != 2 || !slices.Equal(exports[0], exports[1]) {
		t.Errorf("the exports of metrics are %q, want the same two times", exports)
		return
	}
	if names := exports[0]; !slices.Contains(names, "another") || len(names) < 3 {
		t.Errorf("the metrics are %q, want those of both libraries", names)
	}
}
