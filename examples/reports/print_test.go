// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// made is a span made by hand. The times are microseconds, beginning with the
// trace.
type made struct {
	id, parent byte // parent 0: none
	name       string
	service    string
	kind       trace.SpanKind
	from, to   int
	failure    string
}

var midnight = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func madeTrace(spans ...made) *collected {
	t := &collected{id: trace.TraceID{0xab, 15: 1}}
	context := func(id byte) trace.SpanContext {
		if id == 0 {
			return trace.SpanContext{}
		}
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: t.id, SpanID: trace.SpanID{7: id}})
	}
	for _, m := range spans {
		stub := tracetest.SpanStub{
			Name: m.name, SpanKind: m.kind, SpanContext: context(m.id), Parent: context(m.parent),
			StartTime: midnight.Add(time.Duration(m.from) * time.Microsecond),
			EndTime:   midnight.Add(time.Duration(m.to) * time.Microsecond),
			Resource:  resource.NewSchemaless(semconv.ServiceName(m.service)),
		}
		if m.failure != "" {
			stub.Status = sdktrace.Status{Code: codes.Error, Description: m.failure}
		}
		t.spans = append(t.spans, stub.Snapshot())
	}
	return t
}

const (
	internal = trace.SpanKindInternal
	server   = trace.SpanKindServer
	producer = trace.SpanKindProducer
	consumer = trace.SpanKindConsumer
)

// In the order in which they end, as they are collected.
var madeReport = []made{
	{3, 2, "publish reports", "api", producer, 400, 900, ""},
	{2, 1, "POST /reports", "api", server, 200, 1000, ""},
	{5, 3, "process reports", "worker-pdf", consumer, 950, 2600, "no paper\x1b[2J"},
	{6, 4, "store chart", "worker-chart", internal, 2000, 3990, ""},
	{4, 3, "process reports", "worker-chart", consumer, 800, 4000, ""},
	{1, 0, "order", "client", internal, 0, 4000, ""},
}

func TestPrint(t *testing.T) {
	for _, tt := range []struct {
		name  string
		width int
		trace *collected
		want  string
	}{
		{"a failed span is marked, and says why", 88, madeTrace(madeReport...), `
trace ab000000000000000000000000000001
6 spans of 4 services in 4.000 ms

span                     service       kind         start      took  0          4.000 ms
order                    client        internal  0.000 ms  4.000 ms  ███████████████████
└ POST /reports          api           server    0.200 ms  0.800 ms  ▐███▌
  └ publish reports      api           producer  0.400 ms  0.500 ms   ▐██
    ├ process reports    worker-chart  consumer  0.800 ms  3.200 ms     ▐███████████████
    │ └ store chart      worker-chart  internal  2.000 ms  1.990 ms           ▐████████▌
    └ ✗ process reports  worker-pdf    consumer  0.950 ms  1.650 ms      ▐███████
        no paper�[2J
`},
		{"the kind gives way to the bars", 70, madeTrace(madeReport...), `
trace ab000000000000000000000000000001
6 spans of 4 services in 4.000 ms

span                     service          start      took  0  4.000 ms
order                    client        0.000 ms  4.000 ms  ███████████
└ POST /reports          api           0.200 ms  0.800 ms  ▐█▌
  └ publish reports      api           0.400 ms  0.500 ms   █
    ├ process reports    worker-chart  0.800 ms  3.200 ms    █████████
    │ └ store chart      worker-chart  2.000 ms  1.990 ms       ▐████▌
    └ ✗ process reports  worker-pdf    0.950 ms  1.650 ms    ▐████
        no paper�[2J
`},
		{"then the start", 60, madeTrace(madeReport...), `
trace ab000000000000000000000000000001
6 spans of 4 services in 4.000 ms

span                     service           took  0  4.000 ms
order                    client        4.000 ms  ███████████
└ POST /reports          api           0.800 ms  ▐█▌
  └ publish reports      api           0.500 ms   █
    ├ process reports    worker-chart  3.200 ms    █████████
    │ └ store chart      worker-chart  1.990 ms       ▐████▌
    └ ✗ process reports  worker-pdf    1.650 ms    ▐████
        no paper�[2J
`},
		{"then the service", 46, madeTrace(madeReport...), `
trace ab000000000000000000000000000001
6 spans of 4 services in 4.000 ms

span                         took  0  4.000 ms
order                    4.000 ms  ███████████
└ POST /reports          0.800 ms  ▐█▌
  └ publish reports      0.500 ms   █
    ├ process reports    3.200 ms    █████████
    │ └ store chart      1.990 ms       ▐████▌
    └ ✗ process reports  1.650 ms    ▐████
        no paper�[2J
`},
		{"then the bars themselves", 35, madeTrace(madeReport...), `
trace ab00000000000000000000000000…
6 spans of 4 services in 4.000 ms

span                         took
order                    4.000 ms
└ POST /reports          0.800 ms
  └ publish reports      0.500 ms
    ├ process reports    3.200 ms
    │ └ store chart      1.990 ms
    └ ✗ process reports  1.650 ms
        no paper�[2J
`},
		{"and at last the names are cut", 24, madeTrace(madeReport...), `
trace ab000000000000000…
6 spans of 4 services i…

span                took
order           4.000 ms
└ POST /repor…  0.800 ms
  └ publish r…  0.500 ms
    ├ process…  3.200 ms
    │ └ store…  1.990 ms
    └ ✗ proce…  1.650 ms
        no paper�[2J
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := screen{width: tt.width}.render(tt.trace)
			if got != tt.want {
				t.Errorf("printed is\n%s\nwant\n%s", got, tt.want)
			}
			for line := range strings.Lines(got) {
				if n := width(strings.TrimSuffix(line, "\n")); n > tt.width {
					t.Errorf("a line has %d columns of %d: %s", n, tt.width, line)
				}
			}
		})
	}
}

func TestPrintShortTraces(t *testing.T) {
	for _, tt := range []struct {
		name  string
		trace *collected
		want  string
	}{
		{"a span whose parent is not here", madeTrace(
			made{2, 9, "process reports", "worker-pdf", consumer, 0, 15_000, ""},
			made{3, 2, "store pdf", "worker-pdf", internal, 5_000, 15_000, ""},
		), `
trace ab000000000000000000000000000001
2 spans of 1 service in 15.00 ms

span               service     kind         start      took  0  15.00 ms
↳ process reports  worker-pdf  consumer   0.00 ms  15.00 ms  ███████████
└ store pdf        worker-pdf  internal   5.00 ms  10.00 ms     ▐███████

↳ its parent is not here: of another process, or lost
`},
		{"spans of two publishers with clocks that differ", madeTrace(
			made{1, 0, "order", "client", internal, 500, 900, ""},
			made{2, 1, "POST /reports", "api", server, 0, 300, ""},
		), `
trace ab000000000000000000000000000001
2 spans of 2 services in 0.900 ms

span             service  kind         start      took  0       0.900 ms
order            client   internal  0.500 ms  0.400 ms          ▐███████
└ POST /reports  api      server    0.000 ms  0.300 ms  █████
`},
		{"a root that has failed", madeTrace(
			made{1, 0, "GET", "api", server, 0, 2_000_000, "x"},
			made{2, 1, "nothing", "api", internal, 1_000_000, 1_000_000, ""},
		), `
trace ab000000000000000000000000000001
2 spans of 1 service in 2.000 s

span       service  kind        start     took  0                2.000 s
✗ GET      api      server    0.000 s  2.000 s  ████████████████████████
│ x
└ nothing  api      internal  1.000 s  0.000 s              ▌
`},
		{"a trace without any length", madeTrace(made{1, 0, "order", "client", internal, 0, 0, ""}), `
trace ab000000000000000000000000000001
1 span of 1 service in 0.000 ms

span   service  kind         start      took  0                 0.000 ms
order  client   internal  0.000 ms  0.000 ms  ▌
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (screen{width: 72}).render(tt.trace); got != tt.want {
				t.Errorf("printed is\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
	if got := (screen{width: 72}).render(&collected{}); got != "" {
		t.Errorf("of no spans, printed is %q, want nothing", got)
	}
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Colors change nothing but the colors.
func TestPrintColors(t *testing.T) {
	colored := screen{width: 100, colors: true}.render(madeTrace(madeReport...))
	plain := screen{width: 100}.render(madeTrace(madeReport...))
	if colored == plain {
		t.Error("no colors")
	}
	trim := regexp.MustCompile(` +\n`) // of a row that ends with a color
	if got := trim.ReplaceAllString(sgr.ReplaceAllString(colored, ""), "\n"); got != plain {
		t.Errorf("without its colors it is\n%s\nwant\n%s", got, plain)
	}
	if want := "\x1b[" + red + "m✗ process reports"; !strings.Contains(colored, want) {
		t.Errorf("the failed span is not red in\n%s", colored)
	}
}

func TestPrintedTraceIsBounded(t *testing.T) {
	c := madeTrace(madeReport...)
	c.more = 3
	if got, want := (screen{width: 100}).render(c), "\n9 spans of 4 services in 4.000 ms; the last 3 are not shown\n"; !strings.Contains(got, want) {
		t.Errorf("printed is\n%s\nwant it with %q", got, want)
	}
}

func TestMissing(t *testing.T) {
	whole := []made{
		{1, 0, "order a report", "client", internal, 0, 9, ""},
		{2, 1, "HTTP POST", "client", trace.SpanKindClient, 0, 9, ""},
		{3, 2, "POST /reports", "api", server, 0, 9, ""},
		{4, 3, "publish reports", "api", producer, 0, 9, ""},
		{5, 4, "process reports", "worker-summary", consumer, 0, 9, ""},
		{6, 4, "process reports", "worker-chart", consumer, 0, 9, ""},
		{7, 4, "process reports", "worker-table", consumer, 0, 9, ""},
		{8, 4, "process reports", "worker-pdf", consumer, 0, 9, ""},
	}
	for _, tt := range []struct {
		name   string
		change func(spans []made) []made
		want   string
	}{
		{"nothing", func(s []made) []made { return s }, ``},
		{"everything", func([]made) []made { return nil }, `"order a report" (client); "POST /reports" (api); "publish reports" (api); ` +
			`"process reports" (worker-summary); "process reports" (worker-chart); "process reports" (worker-table); "process reports" (worker-pdf)`},
		{"one worker", func(s []made) []made { return s[:7] }, `"process reports" (worker-pdf)`},
		{"the publish alone: what is below it is there", func(s []made) []made { return append(s[:3], s[4:]...) }, `"publish reports" (api)`},
		{"a worker twice is not two workers", func(s []made) []made { s[7].service = "worker-table"; return s }, `"process reports" (worker-pdf)`},
		{"a worker beside the publish, not below it", func(s []made) []made { s[7].parent = 3; return s }, `"process reports" (worker-pdf)`},
		{"the parent of a worker is not here", func(s []made) []made { s[7].parent = 99; return s }, `"process reports" (worker-pdf)`},
		{"another kind", func(s []made) []made { s[3].kind = internal; return s }, `"publish reports" (api)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(missing(madeTrace(tt.change(append([]made(nil), whole...))...).spans, "publish"), "; ")
			if got != tt.want {
				t.Errorf("missing is %s, want %s", got, tt.want)
			}
		})
	}
}
