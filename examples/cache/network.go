// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"sync"
)

// network is what lies between the caches and Redis. It can be cut.
type network struct {
	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

// dial is the Dialer of the caches' client.
func (n *network) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.isCut {
		conn.Close()
		return nil, errors.New("the network is cut")
	}
	n.conns = append(n.conns, conn)
	return conn, nil
}

// cut closes all connections. No other can be made until mend is called.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.isCut = true
	for _, conn := range n.conns {
		conn.Close()
	}
	n.conns = nil
}

func (n *network) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.isCut = false
}
