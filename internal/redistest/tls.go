// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TLSServer is a server with a second port for TLS. There, the server has a certificate, and
// requires one of each client. The other methods use the first port, without TLS.
type TLSServer struct {
	*Server
	tlsPort        int
	reservedTLS    net.PacketConn
	roots          *x509.CertPool
	client         tls.Certificate
	valid, expired keyPair
}

// StartTLS is like [Start], with TLS on a second port. The redis-server must have been built
// with TLS.
func StartTLS(t testing.TB, args ...string) *TLSServer {
	t.Helper()
	s := &TLSServer{Server: newServer(t, nil)}
	now := time.Now()
	ca := newAuthority(t, s.dir)
	s.roots = ca.pool()
	s.client = ca.issue("client", now.Add(time.Hour)).load(t)
	s.valid = ca.issue("server", now.Add(time.Hour))
	s.expired = ca.issue("expired", now.Add(-time.Minute))
	s.args = slices.Concat([]string{
		"--tls-ca-cert-file", filepath.Join(s.dir, "ca.crt"),
		"--tls-cert-file", s.valid.cert, "--tls-key-file", s.valid.key,
	}, args)
	s.startOnFreePort(anyPort)
	s.openTLSPort()
	return s
}

// openTLSPort makes the server listen on a free port for TLS.
func (s *TLSServer) openTLSPort() {
	s.t.Helper()
	admin := s.Client()
	var err error
	for range 10 {
		s.tlsPort = anyPort()
		if s.reservedTLS, err = reserve(s.TLSAddr()); err != nil {
			continue
		}
		if err = admin.ConfigSet(context.Background(), "tls-port", strconv.Itoa(s.tlsPort)).Err(); err == nil {
			s.t.Cleanup(func() { _ = s.reservedTLS.Close() })
			s.args = slices.Concat(s.args, []string{"--tls-port", strconv.Itoa(s.tlsPort)}) // for a restart
			return
		}
		_ = s.reservedTLS.Close()
	}
	s.t.Fatalf("open a port for TLS: %v", err)
}

// TLSAddr returns the host and port of the server for TLS.
func (s *TLSServer) TLSAddr() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.tlsPort))
}

// ClientTLS returns the configuration of a client: it has a certificate, and trusts that of the
// server. It is also right for a proxy in front of the server.
func (s *TLSServer) ClientTLS() *tls.Config {
	return &tls.Config{
		RootCAs: s.roots, Certificates: []tls.Certificate{s.client}, ServerName: "127.0.0.1",
		MinVersion: tls.VersionTLS12,
	}
}

// Expire makes the server use a certificate that has expired, for new connections, until Renew
// is called or the server is restarted.
func (s *TLSServer) Expire() { s.use(s.expired) }

// Renew ends Expire.
func (s *TLSServer) Renew() { s.use(s.valid) }

func (s *TLSServer) use(pair keyPair) {
	s.t.Helper()
	admin := redis.NewClient(&redis.Options{Addr: s.Addr()})
	defer func() { _ = admin.Close() }()
	if err := admin.Do(context.Background(), "config", "set", "tls-cert-file", pair.cert, "tls-key-file", pair.key).Err(); err != nil {
		s.t.Fatalf("change the certificate of the server: %v", err)
	}
}
