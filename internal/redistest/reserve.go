// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// errPortTaken says that somebody else has the port.
var errPortTaken = errors.New("port is taken")

// reserve keeps the port of a server or a proxy for it while it is down, so that no
// other test is given it, of this process or of one that runs beside it. What it holds
// is the UDP port of the same number, which has no other use, and is given back at the
// latest when the process ends.
func reserve(addr string) (net.PacketConn, error) {
	held, err := net.ListenPacket("udp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: %w", errPortTaken, err)
	}
	return held, err
}
