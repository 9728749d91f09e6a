// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// runsMain makes the test binary the program itself, for tests that need a
// process of their own.
const runsMain = "REPORTS_TEST_RUNS_MAIN"

// TestMain fails the run if a test leaves a goroutine behind.
func TestMain(m *testing.M) {
	if os.Getenv(runsMain) != "" {
		main()
	}
	// What the environment says counts for the program: here it is to say nothing.
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "OTEL_") || name == "REDIS_ADDR" || name == "COLUMNS" {
			os.Unsetenv(name)
		}
	}
	logging.Disable() // as main does
	os.Exit(redistest.Main(m))
}

// enough is for how long a test waits for what should come at once.
const enough = 20 * time.Second

// program is a run of the program, in this process.
type program struct {
	t              *testing.T
	stdout, stderr *output
	interrupt      context.CancelFunc // as Ctrl-C does
	ended          chan struct{}
	code           int
}

// start runs the program. It is interrupted when the test ends.
func startProgram(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{t: t, stdout: newOutput(), stderr: newOutput(), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	p.interrupt = cancel
	go func() {
		defer close(p.ended)
		p.code = run(ctx, args, p.stdout, p.stderr)
	}()
	t.Cleanup(func() {
		cancel()
		p.wait()
		if t.Failed() {
			t.Logf("reports %s: exit code %d\nstandard output:\n%s\nstandard error:\n%s",
				strings.Join(args, " "), p.code, p.stdout, p.stderr)
		}
	})
	return p
}

// wait waits for the program to end and returns its exit code.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.code
	case <-time.After(enough):
		p.t.Fatalf("the program has not ended after %v", enough)
		return -1
	}
}

// stop interrupts the program, which has to end with code 0.
func (p *program) stop() {
	p.t.Helper()
	p.interrupt()
	if code := p.wait(); code != exitDone {
		p.t.Errorf("exit code after an interrupt = %d, want %d", code, exitDone)
	}
}

var listens = regexp.MustCompile(`api listens on (http://\S+)`)

// url waits for the API of the program.
func (p *program) url() string {
	p.t.Helper()
	return p.stdout.waitFor(p.t, listens)[1]
}

// output is what a program has printed.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed, and replaced, by each Write
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// waitFor waits until the output matches, and returns what does.
func (o *output) waitFor(t *testing.T, pattern *regexp.Regexp) []string {
	t.Helper()
	timeout := time.After(enough)
	for {
		o.mu.Lock()
		text, changed := o.text.String(), o.changed
		o.mu.Unlock()
		if m := pattern.FindStringSubmatch(text); m != nil {
			return m
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("after %v, nothing in the output matches %s:\n%s", enough, pattern, text)
		}
	}
}
