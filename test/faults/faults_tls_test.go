// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"crypto/x509"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

var tlsFaults = []fault{{
	name: "cut, with TLS", reason: "each new connection has a handshake with certificates",
	at: behindTLSProxy, does: severed.on, within: withinBackoff,
	inflict: func(_ *testing.T, s *scene) {
		s.proxy.Cut()
	},
}, {
	name: "cut, and the TLS handshake stalls", reason: "the connection is there, and the handshake takes a timeout",
	at: behindTLSProxy, does: severed.on, within: withinBackoff + clientTimeout,
	inflict: func(_ *testing.T, s *scene) {
		s.proxy.BlackHole()
		s.proxy.Cut()
		tracetest.LetTimePass(aWhile)
		s.proxy.Accept()
	},
}, {
	name: "certificate expired", reason: "open connections go on, and the next one is refused by the client",
	at: behindTLSProxy, does: severed.on, within: withinBackoff,
	inflict: func(t *testing.T, s *scene) {
		s.tls.Expire()
		s.proxy.Cut()
		for _, r := range s.rows {
			r.reports.WaitUntil(t, "an expired certificate", func(reports []tracetest.Report) bool {
				return slices.ContainsFunc(reports, func(e tracetest.Report) bool {
					invalid, ok := tracetest.As[x509.CertificateInvalidError](e)
					return ok && invalid.Reason == x509.Expired
				})
			})
		}
		s.tls.Renew()
	},
}}

// behindTLSProxy is one server. The rows connect to it with TLS and through a proxy, the
// publisher and the reference do neither.
func behindTLSProxy(t *testing.T, s *scene) {
	t.Helper()
	s.tls = redistest.StartTLS(t)
	s.at(s.tls.Server)
	s.proxy = redistest.NewProxy(t, s.tls.TLSAddr())
	s.clients = clientsOf(s.proxy.Addr(), func(o *redis.UniversalOptions) { o.TLSConfig = s.tls.ClientTLS() })
}
