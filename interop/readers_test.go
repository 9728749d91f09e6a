// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// channel is the one that all peers use. All readers get all messages, in the same order.
const channel = "reports"

// reader reports each message on the channel.
type reader struct {
	name    string
	text    bool // returns strings: what is not UTF-8 on the wire is changed by the client
	exact   bool // holds to all of the rules, and not to those for a dozen lines only
	reports <-chan report
	silent  string // since which message it reports nothing
}

// next returns the next report. A reader that has ended or reports nothing is reported once
// for each message, without waiting for it again.
func (r *reader) next(t *testing.T, message string) (report, bool) {
	t.Helper()
	if r.silent == "" {
		select {
		case got, ok := <-r.reports:
			if ok {
				return got, true
			}
			r.silent = message + " (it has ended)"
		case <-time.After(patience):
			r.silent = message + " (it runs, and is deaf)"
		}
	}
	t.Errorf("%s has not read this message, the last one before %s", r.name, r.silent)
	return report{}, false
}

// expected is what a reader has to report.
type expected struct {
	payload string
	parent  string
	baggage map[string]string
}

func (r *reader) assertNext(t *testing.T, message string, want expected) {
	t.Helper()
	got, ok := r.next(t, message)
	if !ok {
		return
	}
	if string(got.Payload) != want.payload {
		t.Errorf("%s: payload %.100q, want %.100q", r.name, got.Payload, want.payload)
	}
	r.assertContext(t, got, want)
}

func (r *reader) assertContext(t *testing.T, got report, want expected) {
	t.Helper()
	if got.Parent != want.parent {
		t.Errorf("%s: parent %q, want %q", r.name, got.Parent, want.parent)
	}
	if !maps.Equal(got.Baggage, want.baggage) {
		t.Errorf("%s: baggage %q, want %q", r.name, got.Baggage, want.baggage)
	}
}

// startReaders starts all readers, and returns when they have subscribed.
func startReaders(t *testing.T, server *redistest.Server, commands map[*language][]string) []*reader {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	var readers []*reader
	for _, c := range goClients {
		readers = append(readers, &reader{name: c.name, exact: true, reports: c.read(t, server.Addr())})
	}
	for _, p := range peers {
		if command := p.command(commands, "read", host, port, channel); command != nil {
			readers = append(readers, &reader{name: p.name, text: p.text, reports: startProcess(t, p.name, command).reports})
		}
	}
	waitForSubscribers(t, server.Client(), channel, len(readers))
	return readers
}

// waitForSubscribers polls, because not all clients tell when they have subscribed.
func waitForSubscribers(t *testing.T, rdb *redis.Client, channel string, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	for {
		numbers, err := rdb.PubSubNumSub(ctx, channel).Result()
		if err != nil {
			t.Fatalf("%d of %d readers have subscribed: %v", numbers[channel], want, err)
		}
		if numbers[channel] == int64(want) {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal(fmt.Errorf("%d of %d readers have subscribed", numbers[channel], want))
		}
	}
}
