// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// patience is how long a peer may take for one message. It is far more than any needs,
// because the machine may be busy with other tests.
const patience = 20 * time.Second

// pending is how many reports may wait. It is more than any test publishes at once: a client
// whose handler waits may take its connection for dead.
const pending = 1024

// report is what the handler of a reader has got.
type report struct {
	Payload []byte            `json:"payload"`
	Parent  string            `json:"parent"` // trace ID and span ID; empty for the root of a trace
	Baggage map[string]string `json:"baggage"`
	Sent    bool              `json:"sent"` // from a writer: the server has the message
}

// order tells a writer what to publish, and within which context.
type order struct {
	Payload []byte            `json:"payload"`
	Text    bool              `json:"text"` // pass the payload as a string
	Carrier map[string]string `json:"carrier"`
}

// process is a peer that runs. It ends with its standard input.
type process struct {
	orders  *json.Encoder
	reports chan report // closed when it has ended
}

func startProcess(t *testing.T, name string, command []string) *process {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// A span that is not sampled does not know its parent.
	cmd.Env = append(os.Environ(), "OTEL_TRACES_SAMPLER=always_on", "OTEL_TRACES_EXPORTER=none")
	log := new(tail)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	p := &process{json.NewEncoder(in), make(chan report, pending)}
	stop := make(chan struct{})
	go p.readReports(out, stop)
	t.Cleanup(func() {
		close(stop)
		_ = in.Close()
		_ = cmd.Process.Kill() // a reader waits for messages, and not for its input
		_ = cmd.Wait()
		if text := log.String(); t.Failed() && text != "" {
			t.Logf("%s wrote to its standard error:\n%s", name, text)
		}
	})
	return p
}

func (p *process) readReports(out io.Reader, stop chan struct{}) {
	defer close(p.reports)
	lines := json.NewDecoder(bufio.NewReader(out))
	for {
		var r report
		if lines.Decode(&r) != nil {
			return // it has ended, or has printed something else
		}
		select {
		case p.reports <- r:
		case <-stop:
			return
		}
	}
}

// publish tells a writer to publish, and waits until it has.
func (p *process) publish(o order) error {
	if err := p.orders.Encode(o); err != nil {
		return err
	}
	select {
	case r, ok := <-p.reports:
		if !ok || !r.Sent {
			return errors.New("it has ended")
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("not published after %v", patience)
	}
}
