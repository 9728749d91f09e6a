// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"net"
	"strconv"
)

// Server is the server that an operation uses: server.address and server.port. A nil
// Server is not known, or is several servers.
type Server struct {
	address string
	port    int
	hasPort bool
}

// NewServer returns the server at an address as net.Dial takes it.
func NewServer(network, address string) *Server {
	host, port, err := net.SplitHostPort(address)
	if network == "unix" || err != nil {
		return &Server{address: address}
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return &Server{address: host}
	}
	return &Server{host, n, true}
}

func (s *Server) equal(other *Server) bool {
	return s == other || s != nil && other != nil && *s == *other
}
