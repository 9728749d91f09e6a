// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	miniserver "github.com/alicebob/miniredis/v2/server"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// wholeTrace is the trace of one report: each span behind its parents.
func wholeTrace(publish string) []string {
	const (
		order   = "order a report of client"
		post    = order + " > HTTP POST of client"
		request = post + " > POST /reports of api"
		get     = order + " > HTTP GET of client"
	)
	published := request + " > " + publish + " reports of api"
	want := []string{order, post, request, published, get, get + " > GET /reports/{id} of api"}
	for _, part := range []string{"summary", "chart", "table", "pdf"} {
		process := published + " > process reports of worker-" + part
		want = append(want, process,
			process+" > make "+part+" of worker-"+part,
			process+" > store "+part+" of worker-"+part)
	}
	slices.Sort(want)
	return want
}

var spanRow = regexp.MustCompile(`^([│├└↳ ]*)(⇢ )?(\S.*?) {2,}(\S+) {2,}(internal|client|server|producer|consumer)` +
	` {2,}\d+\.\d{1,3} [mµ]?s +\d+\.\d{1,3} [mµ]?s  +[█▌▐]+$`)

// printedTrace reads the tree that was printed: each span behind its parents,
// sorted. It fails the test if not exactly the consumers are marked.
func printedTrace(t *testing.T, text string) []string {
	t.Helper()
	var paths, parents []string
	for line := range strings.Lines(text) {
		m := spanRow.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		if crossed := m[2] != ""; crossed != (m[5] == "consumer") {
			t.Errorf("a mark for what crossed Redis is missing or wrong: %s", line)
		}
		depth := width(m[1]) / 2
		if strings.HasPrefix(m[1], strayTwig) {
			depth = 0
		}
		parents = append(parents[:min(depth, len(parents))], m[3]+" of "+m[4])
		paths = append(paths, strings.Join(parents, " > "))
	}
	slices.Sort(paths)
	return paths
}

func TestOneReport(t *testing.T) {
	for _, tt := range []struct {
		name    string // and what it stands for
		args    func(t *testing.T) []string
		publish string
	}{
		{"nothing installed", func(*testing.T) []string { return nil }, "publish"},
		{"a Redis server", func(t *testing.T) []string {
			return []string{"-redis", redistest.Start(t).Addr()}
		}, "publish"},
		{"the address in the environment", func(t *testing.T) []string {
			t.Setenv("REDIS_ADDR", miniredis.RunT(t).Addr())
			return nil
		}, "publish"},
		{"a cluster, whose channels are sharded", func(t *testing.T) []string {
			return []string{"-redis", strings.Join(redistest.StartCluster(t).Addrs(), ",")}
		}, "spublish"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startProgram(t, tt.args(t)...)
			if code := p.wait(); code != exitDone {
				t.Errorf("exit code = %d, want %d", code, exitDone)
			}
			if got, want := printedTrace(t, p.stdout.String()), wholeTrace(tt.publish); !slices.Equal(got, want) {
				t.Errorf("the printed tree has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if got := p.stderr.String(); got != "" {
				t.Errorf("standard error = %q, want nothing", got)
			}
			if got := p.stdout.String(); strings.Contains(got, "\x1b") {
				t.Error("colors, and this is no terminal")
			}
		})
	}
}

// eventually polls for a condition that sends no event.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	timeout := time.After(enough)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("after %v: not so: %s", enough, what)
		}
	}
}

// A tree that is not whole is printed all the same, and the program says what
// is missing.
func TestOneReportWithoutItsMessage(t *testing.T) {
	redis := miniredis.RunT(t)
	redis.Server().SetPreHook(losePublished)
	p := startProgram(t, "-redis", redis.Addr(), "-timeout", "100ms")
	if code := p.wait(); code != exitFailed {
		t.Errorf("exit code = %d, want %d", code, exitFailed)
	}
	const want = `reports: timed out after 100ms (-timeout); missing in the trace: "process reports" (worker-summary), "process reports" (worker-chart), ` +
		`"process reports" (worker-table), "process reports" (worker-pdf); ` +
		`missing in the report: summary, chart, table, pdf` + "\n"
	if got := p.stderr.String(); got != want {
		t.Errorf("standard error = %q, want %q", got, want)
	}
	if got, want := len(printedTrace(t, p.stdout.String())), len(wholeTrace("publish"))-3*len(partNames); got != want {
		t.Errorf("%d spans are printed, want the %d that are no worker's", got, want)
	}
}

// A Redis that does not answer is a timeout, too.
func TestOneReportOfAHangingRedis(t *testing.T) {
	t.Parallel() // it waits
	redis := miniredis.RunT(t)
	ended := make(chan struct{})
	redis.Server().SetPreHook(func(_ *miniserver.Peer, command string, _ ...string) bool {
		if command == "HGETALL" {
			<-ended
		}
		return false
	})
	p := startProgram(t, "-redis", redis.Addr(), "-timeout", "100ms")
	if code := p.wait(); code != exitFailed {
		t.Errorf("exit code = %d, want %d", code, exitFailed)
	}
	close(ended)
	if got, want := p.stderr.String(), "reports: timed out after 3.1s: "; !strings.HasPrefix(got, want) {
		t.Errorf("standard error = %q, want it to begin with %q", got, want)
	}
}

// The error of the API is told in plain words, and not as the JSON of its answer.
func TestOneReportThatIsRefused(t *testing.T) {
	redis := miniredis.RunT(t)
	redis.Server().SetPreHook(func(c *miniserver.Peer, command string, _ ...string) bool {
		if command == "MULTI" {
			c.WriteError("LOADING not yet")
		}
		return command == "MULTI"
	})
	p := startProgram(t, "-redis", redis.Addr())
	if code := p.wait(); code != exitFailed {
		t.Errorf("exit code = %d, want %d", code, exitFailed)
	}
	if got, want := p.stderr.String(), "reports: POST /reports: 503 Service Unavailable: LOADING not yet\n"; got != want {
		t.Errorf("standard error = %q, want %q", got, want)
	}
}

// losePublished discards every message that is published.
func losePublished(c *miniserver.Peer, command string, _ ...string) bool {
	if command != "PUBLISH" {
		return false
	}
	c.WriteInt(0)
	return true
}

func TestOneReportInterrupted(t *testing.T) {
	redis := miniredis.RunT(t)
	redis.Server().SetPreHook(losePublished)
	p := startProgram(t, "-redis", redis.Addr(), "-timeout", "1m")
	eventually(t, "the report is ordered, and the client waits", func() bool { return len(redis.Keys()) > 0 })
	p.interrupt()
	if code := p.wait(); code != exitFailed {
		t.Errorf("exit code = %d, want %d: there is no whole trace", code, exitFailed)
	}
	if got := p.stderr.String(); got != "reports: interrupted\n" {
		t.Errorf("standard error = %q", got)
	}
	eventually(t, "all connections to Redis are closed", func() bool { return redis.CurrentConnectionCount() == 0 })
}

func TestFailures(t *testing.T) {
	taken := listen(t)
	silent := listen(t) // the kernel accepts connections, and nobody ever answers
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // of standard error, which is one line
	}{
		{"a port in use", []string{"-serve", "-addr", taken}, exitFailed, "address already in use"},
		{"a port in use, for one report", []string{"-addr", taken}, exitFailed, "address already in use"},
		{"nobody listens", []string{"-redis", nobody}, exitFailed, "no answer from Redis at 127.0.0.1:"},
		{"nobody listens, api", []string{"api", "-addr", "127.0.0.1:0", "-redis", nobody}, exitFailed, "connection refused"},
		{"nobody listens, worker", []string{"worker", "-redis", nobody}, exitFailed, "connection refused"},
		{"no node of a cluster", []string{"-redis", nobody + "," + nobody}, exitFailed, "connection refused"},
		{"nobody answers", []string{"-redis", silent}, exitFailed, "no answer from Redis at " + silent},
		{"no such flag", []string{"-color"}, exitUsage, "-color"},
		{"a flag of another role", []string{"worker", "-addr", ":1"}, exitUsage, "-addr"},
		{"no such role", []string{"client"}, exitUsage, `no role "client"`},
		{"parts, for one report", []string{"-part", "summary"}, exitUsage, "-part is for -serve and for worker"},
		{"no such part", []string{"-serve", "-part", "summary,cover"}, exitUsage, `no part "cover"`},
		{"a part twice", []string{"worker", "-redis", nobody, "-part", "pdf,pdf"}, exitUsage, "twice"},
		{"an empty address", []string{"-redis", "127.0.0.1:6379,"}, exitUsage, "empty"},
		{"a role without its Redis", []string{"worker"}, exitUsage, "-redis 127.0.0.1:6379"},
		{"an argument too many", []string{"-serve", "api"}, exitUsage, `"api"`},
		{"no URL", []string{"-otlp=ftp://localhost"}, exitUsage, "http://localhost:4318"},
		{"a URL after a space", []string{"-otlp", "http://localhost:4318"}, exitUsage, "-otlp=URL"},
		{"pictures of no report", []string{"-serve", "-svg", "."}, exitUsage, "-svg"},
		{"no time at all", []string{"-timeout", "0s"}, exitUsage, "-timeout"},
		{"a time that the API would refuse", []string{"-timeout", "2m"}, exitUsage, "-timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // some of them wait
			p := startProgram(t, tt.args...)
			if code := p.wait(); code != tt.code {
				t.Errorf("exit code = %d, want %d", code, tt.code)
			}
			if got := p.stdout.String(); got != "" {
				t.Errorf("standard output = %q, want nothing: nothing was ready", got)
			}
			got := p.stderr.String()
			if !strings.HasPrefix(got, "reports: ") || !strings.Contains(got, tt.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("standard error = %q, want one line with %q", got, tt.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for line := range strings.Lines(usage) {
		if n := width(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("a line has %d columns, want at most 80: %s", n, line)
		}
	}
	for _, args := range [][]string{{"-help"}, {"-h"}, {"worker", "-help"}} {
		p := startProgram(t, args...)
		if code := p.wait(); code != exitDone || p.stdout.String() != usage || p.stderr.String() != "" {
			t.Errorf("%q: exit code %d, standard output %q, standard error %q", args, code, p.stdout, p.stderr)
		}
	}
}

// listen returns an address with a listener, which is closed when the test ends.
func listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// nobody is an address on which nobody listens.
const nobody = "127.0.0.1:1"
