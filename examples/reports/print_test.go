// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
	"testing"
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
		{"a failed span is marked, and says why", 90, madeTrace(madeReport...), `
trace ab000000000000000000000000000001
6 spans of 4 services in 4.000 ms

span                       service       kind         start      took  0          4.000 ms
order                      client        internal  0.000 ms  4.000 ms  ███████████████████
└ POST /reports            api           server    0.200 ms  0.800 ms  ▐███▌
  └ publish reports        api           producer  0.400 ms  0.500 ms   ▐██
    ├ ⇢ process reports    worker-chart  consumer  0.800 ms  3.200 ms     ▐███████████████
    │ └ store chart        worker-chart  internal  2.000 ms  1.990 ms           ▐████████▌
    └ ⇢ ✗ process reports  worker-pdf    consumer  0.950 ms  1.650 ms      ▐███████
        no paper�[2J

⇢ received through Redis Pub/Sub
`},
		{"the start gives way to the bars", 72, madeTrace(madeReport...), `
trace ab000000000000000000000000000001
6 spans of 4 services in 4.000 ms

span                       service       kind          took  0  4.000 ms
order                      client        internal  4.000 ms  ███████████
└ POST /reports            api           server    0.800 ms  ▐█▌
  └ publish reports        api           producer  0.500 ms   █
    ├ ⇢ process reports    worker-chart  consumer  3.200 ms    █████████
    │ └ store chart        worker-chart  internal  1.990 ms       ▐████▌
    └ ⇢ ✗ process reports  worker-pdf    consumer  1.650 ms    ▐████
        no paper�[2J

⇢ received through Redis Pub/Sub
`},
		{"then the kind", 62, madeTrace(madeReport...), `
trace ab000000000000000000000000000001
6 spans of 4 services in 4.000 ms

span                       service           took  0  4.000 ms
order                      client        4.000 ms  ███████████
└ POST /reports            api           0.800 ms  ▐█▌
  └ publish reports        api           0.500 ms   █
    ├ ⇢ process reports    worker-chart  3.200 ms    █████████
    │ └ store chart        worker-chart  1.990 ms       ▐████▌
    └ ⇢ ✗ process reports  worker-pdf    1.650 ms    ▐████
        no paper�[2J

⇢ received through Redis Pub/Sub
`},
		{"then the service", 48, madeTrace(madeReport...), `
trace ab000000000000000000000000000001
6 spans of 4 services in 4.000 ms

span                           took  0  4.000 ms
order                      4.000 ms  ███████████
└ POST /reports            0.800 ms  ▐█▌
  └ publish reports        0.500 ms   █
    ├ ⇢ process reports    3.200 ms    █████████
    │ └ store chart        1.990 ms       ▐████▌
    └ ⇢ ✗ process reports  1.650 ms    ▐████
        no paper�[2J

⇢ received through Redis Pub/Sub
`},
		{"then the bars themselves", 37, madeTrace(madeReport...), `
trace ab0000000000000000000000000000…
6 spans of 4 services in 4.000 ms

span                           took
order                      4.000 ms
└ POST /reports            0.800 ms
  └ publish reports        0.500 ms
    ├ ⇢ process reports    3.200 ms
    │ └ store chart        1.990 ms
    └ ⇢ ✗ process reports  1.650 ms
        no paper�[2J

⇢ received through Redis Pub/Sub
`},
		{"then the names are cut", 24, madeTrace(madeReport...), `
trace ab000000000000000…
6 spans of 4 services i…

span                took
order           4.000 ms
└ POST /repor…  0.800 ms
  └ publish r…  0.500 ms
    ├ ⇢ proce…  3.200 ms
    │ └ store…  1.990 ms
    └ ⇢ ✗ pro…  1.650 ms
        no paper�[2J

⇢ received through Redi…
`},
		{"and at last there is no room for times", 10, madeTrace(madeReport...), `
trace ab0…
6 spans o…

span
order
└ POST /r…
  └ publi…
    ├ ⇢ p…
    │ └ s…
    └ ⇢ ✗…
        n…

⇢ receive…
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
		{"spans whose parents are in other processes", madeTrace(
			made{2, 9, "process reports", "worker-pdf", consumer, 0, 15_000, ""},
			made{3, 2, "store pdf", "worker-pdf", internal, 5_000, 15_000, ""},
			made{4, 8, "GET /metrics", "worker-pdf", server, 7_500, 7_503, ""},
		), `
trace ab000000000000000000000000000001
3 spans of 1 service in 15.00 ms

span                 service     kind        start      took  0 15.00 ms
↳ ⇢ process reports  worker-pdf  consumer  0.00 ms  15.00 ms  ██████████
  └ store pdf        worker-pdf  internal  5.00 ms  10.00 ms     ███████
↳ GET /metrics       worker-pdf  server    7.50 ms    3.0 µs       ▌

⇢ received through Redis Pub/Sub
↳ parent span is in another process
`},
		{"times that differ by orders of magnitude", madeTrace(
			made{1, 0, "order", "client", internal, 0, 2_000_000, ""},
			made{2, 1, "a", "client", internal, 0, 7, ""},
			made{3, 1, "b", "client", internal, 1_250, 1_260, ""},
			made{4, 1, "c", "client", internal, 10_000, 19_990, ""},
		), `
trace ab000000000000000000000000000001
4 spans of 1 service in 2.000 s

span   service  kind        start     took  0                    2.000 s
order  client   internal  0.000 s  2.000 s  ████████████████████████████
├ a    client   internal  0.000 s   7.0 µs  ▌
├ b    client   internal  1.25 ms  0.01 ms  ▌
└ c    client   internal  0.010 s  9.99 ms  ▌
`},
		{"characters of two columns, and of none", madeTrace(
			made{1, 0, "注文 Gru\u0308n", "client", internal, 0, 1000, ""},
			made{2, 1, "GET", "服务", server, 0, 1000, "没有纸，没有纸，没有纸，没有纸，没有纸，没有纸，没有纸，没有纸，没有纸"},
		), `
trace ab000000000000000000000000000001
2 spans of 2 services in 1.000 ms

span       service  kind         start      took  0             1.000 ms
注文 Grün  client   internal  0.000 ms  1.000 ms  ██████████████████████
└ ✗ GET    服务     server    0.000 ms  1.000 ms  ██████████████████████
    没有纸，没有纸，没有纸，没有纸，没有纸，没有纸，没有纸，没有纸，没…
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
