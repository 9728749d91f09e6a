// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// runsMain makes the test binary the program itself.
const runsMain = "WORKERS_TEST_RUNS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runsMain) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(redistest.Main(m))
}

// enough is for how long a test waits for what should come at once.
const enough = 20 * time.Second

// logLine is a line that the program logs.
type logLine struct {
	Msg, Health, Order, Err string
	TraceID                 string `json:"trace_id"`
}

// process is the program, in a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan logLine // closed when the program has ended
	seen  []logLine
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...), lines: make(chan logLine, 1000)}
	p.cmd.Env = append(os.Environ(), runsMain+"=1", "OTEL_EXPORTER_OTLP_ENDPOINT=")
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(2*enough, func() { _ = p.cmd.Process.Kill() })
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var line logLine
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				line.Err = lines.Text()
			}
			p.lines <- line
		}
	}()
	t.Cleanup(func() {
		hung.Stop()
		_ = p.cmd.Process.Kill() // it has ended, unless the test has failed
		<-read
		if t.Failed() {
			t.Logf("workers %q logged %+v", args, p.seen)
		}
	})
	return p
}

// waitFor returns the next line with a message.
func (p *process) waitFor(msg string) logLine {
	p.t.Helper()
	for line := range p.lines {
		p.seen = append(p.seen, line)
		if line.Msg == msg {
			return line
		}
	}
	p.t.Fatalf("the program has ended, and has not logged %q", msg)
	return logLine{}
}

// wait waits for the end of the program, and returns what it has logged since, and its exit code.
func (p *process) wait() (rest []logLine, code int) {
	p.t.Helper()
	for line := range p.lines {
		p.seen = append(p.seen, line)
		rest = append(rest, line)
	}
	_ = p.cmd.Wait() // the exit code says it
	return rest, p.cmd.ProcessState.ExitCode()
}

// succeeds waits for the end of the program, which has to have succeeded.
func (p *process) succeeds() (rest []logLine) {
	p.t.Helper()
	rest, code := p.wait()
	if code != 0 {
		p.t.Errorf("exit code = %d, want 0", code)
	}
	return rest
}

// waitForStatus waits until the readiness check answers with a status.
func waitForStatus(t *testing.T, url string, want int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("the readiness check does not answer, want %d: %v", want, err)
		}
		resp.Body.Close()
		if resp.StatusCode == want {
			return
		}
		<-tick.C
	}
	t.Fatalf("the readiness check has not answered with %d", want)
}

// Orders arrive, and then the signal, while all workers are busy. The readiness check fails,
// everything that has arrived is packed, and the program succeeds.
func TestShutdown(t *testing.T) {
	server := redistest.Start(t)
	rdb := server.Client()
	p := startProcess(t, "-redis", server.Addr(), "-health", "127.0.0.1:0")
	url := p.waitFor("started").Health
	waitForStatus(t, url, http.StatusOK)

	const orders = 50
	traceID := publishAndPause(t, rdb, orders)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitForStatus(t, url, http.StatusServiceUnavailable)
	if err := rdb.ClientUnpause(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}

	packed := make(map[string]bool)
	for _, line := range p.succeeds() {
		if line.Msg != "packed" {
			continue
		}
		packed[line.Order] = true
		if line.TraceID != traceID {
			t.Errorf("order %s is logged with trace ID %q, want %q", line.Order, line.TraceID, traceID)
		}
	}
	saved, err := rdb.HLen(t.Context(), "packed").Result()
	if err != nil || saved != orders || len(packed) != orders {
		t.Errorf("%d orders are saved, %v, and %d logged; want %d", saved, err, len(packed), orders)
	}
}

// publishAndPause publishes orders, and lets the server hold back all writes from then on. The
// workers have the orders then, and cannot save any. It returns the trace ID.
func publishAndPause(t *testing.T, rdb *redis.Client, orders int) string {
	t.Helper()
	client := tracedpubsub.Wrap(rdb)
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "test")
	defer span.End()
	_, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range orders {
			client.PublishTo(ctx, pipe, channel, tracedpubsub.JSON(Order{ID: fmt.Sprint(i), Item: "tea", Quantity: 1}))
		}
		pipe.Do(ctx, "CLIENT", "PAUSE", enough.Milliseconds(), "WRITE")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return span.SpanContext().TraceID().String()
}

// What the program publishes, it packs, in the same trace. What is no order is logged.
func TestPublish(t *testing.T) {
	server := redistest.Start(t)
	p := startProcess(t, "-redis", server.Addr(), "-health", "127.0.0.1:0", "-workers", "1")
	waitForStatus(t, p.waitFor("started").Health, http.StatusOK)
	publisher := startProcess(t, "-redis", server.Addr(), "-publish", "1")
	published := publisher.waitFor("published")
	publisher.succeeds()
	if packed := p.waitFor("packed"); packed.Order != "1" || packed.TraceID == "" || packed.TraceID != published.TraceID {
		t.Errorf("packed is %+v, and published %+v", packed, published)
	}
	if err := server.Client().Publish(t.Context(), channel, "hello").Err(); err != nil {
		t.Fatal(err)
	}
	if line := p.waitFor("message failed"); line.Err == "" || line.TraceID == "" {
		t.Errorf("logged is %+v, want the error and a trace ID", line)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.succeeds()
}

// The program fails, and says why, if another one has its port.
func TestPortInUse(t *testing.T) {
	server := redistest.Start(t)
	p := startProcess(t, "-redis", server.Addr(), "-health", server.Addr())
	if line := p.waitFor("failed"); line.Err == "" {
		t.Errorf("logged is %+v, want the error", line)
	}
	if _, code := p.wait(); code != 1 {
		t.Errorf("exit code = %d, want 1", code)
	}
}
