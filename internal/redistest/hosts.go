// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"fmt"
	"net"
	"testing"
)

// sentinelHost is the address from which sentinels connect to servers.
const sentinelHost = "127.0.0.3"

// peerHost returns the address from which the server with number i connects to other servers.
// A proxy recognizes the server by it.
func peerHost(i int) string { return fmt.Sprintf("127.0.0.%d", 11+i) }

// needHosts fails the test if the loopback interface does not have these addresses. On Linux
// it has them.
func needHosts(t testing.TB, hosts ...string) {
	t.Helper()
	for _, host := range hosts {
		conn, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatalf("this test needs the address %s: %v; to add it on macOS: sudo ifconfig lo0 alias %s", host, err, host)
		}
		_ = conn.Close()
	}
}
