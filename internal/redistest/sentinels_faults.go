// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import "context"

// Failover makes the sentinels choose another master, like an operator does. It returns the
// new one as soon as the sentinels agree on it. The sentinels make the old one a replica some
// ten seconds later, or as soon as WaitUntilHealthy is called.
func (s *Sentinels) Failover() *Server {
	s.t.Helper()
	deposed := s.Master()
	s.BeginFailover()
	return s.WaitUntilMasterIsNot(deposed)
}

// BeginFailover is like Failover, and returns as soon as a sentinel has accepted the command.
func (s *Sentinels) BeginFailover() {
	s.t.Helper()
	waitFor(s.t, "failover", func(ctx context.Context) error {
		return s.answering()[0].admin.Failover(ctx, masterName).Err()
	})
}

// CutOff cuts a server off from the sentinels and from the other servers: they do not reach it,
// and it does not reach them. Nobody is told, as if a network had lost all packets. Clients
// still reach the server. If it is the master, the sentinels choose another one; see
// [Sentinels.WaitUntilMasterIsNot].
func (s *Sentinels) CutOff(server *Server) {
	s.t.Helper()
	s.member(server).cutOff = true
	s.setProxies()
}

// Rejoin ends CutOff. A server that was the master becomes a replica some ten seconds later, or
// as soon as WaitUntilHealthy is called.
func (s *Sentinels) Rejoin(server *Server) {
	s.t.Helper()
	s.member(server).cutOff = false
	s.setProxies()
}

// setProxies makes the proxies cut off the servers that are to be, and no others.
func (s *Sentinels) setProxies() {
	for _, to := range s.members {
		if to.cutOff {
			to.proxy.BlackHoleFrom(sentinelHost)
		} else {
			to.proxy.AcceptFrom(sentinelHost)
		}
		for _, from := range s.members {
			if from.cutOff || to.cutOff {
				to.proxy.BlackHoleFrom(from.host)
			} else {
				to.proxy.AcceptFrom(from.host)
			}
		}
	}
}
