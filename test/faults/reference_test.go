// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// reference is what subscribers have received that no fault touches. If a channel is watched at
// several places, each message counts once.
type reference struct {
	*history

	mu     sync.Mutex
	seen   map[string]map[int]bool // the numbers of each channel
	active map[place]bool
}

// place is a server at which the reference watches a channel.
type place struct{ addr, channel string }

func newReference() *reference {
	return &reference{history: newHistory(), seen: make(map[string]map[int]bool), active: make(map[place]bool)}
}

// startReference subscribes to all channels of the scene, each on a connection of its own
// to its server, and returns when the servers have confirmed it.
func (s *scene) startReference(t *testing.T) {
	t.Helper()
	var loops sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		loops.Wait()
	})
	for _, channel := range slices.Concat(s.classic, s.sharded) {
		if watched := s.watched[channel]; len(watched) > 0 {
			for _, addr := range watched {
				loops.Go(func() { s.reference.follow(ctx, []string{addr}, channel, slowRetry) })
				s.awaitReference(t, channel, addr)
			}
			continue
		}
		addrs := slices.Clone(s.publisher.addrs[channel])
		loops.Go(func() { s.reference.follow(ctx, slices.Clone(addrs), channel, publishInterval) })
		s.awaitReference(t, channel, addrs...)
	}
}

// slowRetry is how often the reference connects again to a server that may be down for long.
const slowRetry = 20 * time.Millisecond

// awaitReference waits until the reference watches a channel at one of these addresses.
func (s *scene) awaitReference(t *testing.T, channel string, addrs ...string) {
	t.Helper()
	tracetest.Eventually(t, "the reference is subscribed to "+channel, func() bool {
		return slices.ContainsFunc(addrs, func(addr string) bool { return s.reference.watches(place{addr, channel}) })
	})
}

func (r *reference) watches(p place) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active[p]
}

func (r *reference) watch(p place, active bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active[p] = active
}

// add adds a message that is received now, if it is the first one with its number.
func (r *reference) add(channel, payload string) {
	number, _, _ := strings.Cut(payload, " ")
	if seq, err := strconv.Atoi(number); err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.seen[channel] == nil {
			r.seen[channel] = make(map[int]bool)
		}
		if r.seen[channel][seq] {
			return
		}
		r.seen[channel][seq] = true
	}
	r.history.add(channel, payload)
}

// follow is the reference for one channel. It connects again as soon as a connection is
// lost, and follows the channel to its owner.
func (r *reference) follow(ctx context.Context, addrs []string, channel string, retry time.Duration) {
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		at := place{addrs[0], channel}
		err := r.read(ctx, at)
		r.watch(at, false)
		if _, owner, moved := strings.Cut(err.Error(), "MOVED "); moved && len(addrs) > 1 {
			_, addr, _ := strings.Cut(owner, " ")
			addrs = slices.Insert(slices.DeleteFunc(addrs, func(a string) bool { return a == addr }), 0, addr)
		} else {
			addrs = append(addrs[1:], addrs[0])
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// read adds the messages of a channel, until the connection is lost. It speaks as much of the
// protocol as it needs, without go-redis.
func (r *reference) read(ctx context.Context, at place) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.addr)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	command := "SUBSCRIBE"
	if isSharded(at.channel) {
		command = "SSUBSCRIBE"
	}
	if _, err := fmt.Fprintf(conn, "%s %s\r\n", command, at.channel); err != nil {
		return err
	}
	pushes := bufio.NewReader(conn)
	for {
		parts, err := readPush(pushes)
		if err != nil {
			return err
		}
		switch parts[0] {
		case "subscribe", "ssubscribe":
			r.watch(at, true)
		case "message", "smessage":
			envelope, err := tracedpubsub.Decode(parts[2])
			if err != nil {
				envelope.Payload = err.Error() // which the publisher has not sent
			}
			r.add(parts[1], envelope.Payload)
		default:
			return errors.New(parts[0]) // sunsubscribe
		}
	}
}

// readPush reads an array of strings and numbers.
func readPush(r *bufio.Reader) ([]string, error) {
	n, err := readLength(r, '*')
	if err != nil {
		return nil, err
	}
	parts := make([]string, n)
	for i := range parts {
		kind, err := r.Peek(1)
		if err != nil {
			return nil, err
		}
		if kind[0] == ':' {
			if _, err := r.ReadString('\n'); err != nil {
				return nil, err
			}
			continue
		}
		size, err := readLength(r, '$')
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		parts[i] = string(text[:size])
	}
	return parts, nil
}

func readLength(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" || line[0] != kind {
		return 0, fmt.Errorf("unexpected reply %s", line)
	}
	return strconv.Atoi(line[1:])
}
