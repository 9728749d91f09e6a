// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"net"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// dialer is a Dialer of a user that does not heed its context, like those of many tunnels.
type dialer struct{}

func (*dialer) dial(_ context.Context, network, addr string) (net.Conn, error) {
	return net.Dial(network, addr)
}

// optionFaults are faults of which clients with certain options make more.
var optionFaults = []fault{{
	name: "cut, with a Dialer that ignores its context", reason: "go-redis dials by itself, before anybody knows of the loss",
	at: withDialer, does: severed.on, within: withinBackoff,
	inflict: func(_ *testing.T, s *scene) {
		s.proxy.Cut()
	},
}, {
	name: "cut, and a black hole, with a Dialer that ignores its context", reason: "nothing ends the attempt to connect early",
	at: withDialer, does: severed.on, within: withinBackoff + clientTimeout,
	inflict: func(_ *testing.T, s *scene) {
		s.proxy.BlackHole()
		s.proxy.Cut()
		tracetest.LetTimePass(aWhile)
		s.proxy.Accept()
	},
}}

// withDialer is the same as behindProxy, with a Dialer of the user.
func withDialer(t *testing.T, s *scene) {
	t.Helper()
	behindProxy(t, s)
	s.dialer = &dialer{}
	s.clients = clientsOf(s.proxy.Addr(), func(o *redis.UniversalOptions) { o.Dialer = s.dialer.dial })
}
