// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// errPortTaken means that another process or test has the port.
var errPortTaken = errors.New("port is taken")

// reserve reserves the port of a server or a proxy while it is down, so that no other test of
// this or another process uses it. It listens on the UDP port of the same number, which has
// no other use.
func reserve(addr string) (net.PacketConn, error) {
	held, err := net.ListenPacket("udp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: %w", errPortTaken, err)
	}
	return held, err
}
