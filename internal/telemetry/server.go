// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"net"
	"strconv"
)

// Server is the server of an operation, for server.address and server.port. It is nil if the
// server is not known or there are several.
type Server struct {
	address string
	port    int
	hasPort bool
}

// NewServer returns the server with the given network and address, in the form of net.Dial.
// It is nil if the address has no host, such as ":6379".
func NewServer(network, address string) *Server {
	address = valid(address) // the path of a unix socket has bytes
	host, port, err := net.SplitHostPort(address)
	if network == "unix" || err != nil {
		return &Server{address: address}
	}
	if host == "" {
		return nil
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
