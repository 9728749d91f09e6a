// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// pingTLS connects to addr with TLS, and returns what becomes of a PING.
func pingTLS(t *testing.T, addr string, config *tls.Config) error {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: config, MaxRetries: -1, DialerRetries: 1})
	defer func() { _ = rdb.Close() }()
	return rdb.Ping(t.Context()).Err()
}

func TestStartTLS(t *testing.T) {
	s := StartTLS(t, "--maxclients", "77")
	if got := s.Client().ConfigGet(t.Context(), "maxclients").Val()["maxclients"]; got != "77" {
		t.Errorf("maxclients = %q, want 77", got)
	}
	p := NewProxy(t, s.TLSAddr())
	for _, addr := range []string{s.TLSAddr(), p.Addr()} {
		if err := pingTLS(t, addr, s.ClientTLS()); err != nil {
			t.Errorf("ping through %s: %v", addr, err)
		}
	}
	nameless := s.ClientTLS()
	nameless.Certificates = nil
	// A client that writes may get a reset, and not the reason.
	conn, err := tls.Dial("tcp", s.TLSAddr(), nameless)
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("read without a certificate of the client: %v, want that it is required", err)
	}
	stranger := s.ClientTLS()
	stranger.RootCAs = x509.NewCertPool()
	if err := pingTLS(t, s.TLSAddr(), stranger); !isErr[x509.UnknownAuthorityError](err) {
		t.Errorf("ping of a client that does not trust the server: %v", err)
	}
	if err := pingTLS(t, s.TLSAddr(), nil); err == nil {
		t.Error("ping without TLS works on the port for TLS")
	}

	s.Restart()
	if err := pingTLS(t, p.Addr(), s.ClientTLS()); err != nil {
		t.Errorf("ping after a restart: %v", err)
	}
}

func TestExpireAndRenew(t *testing.T) {
	s := StartTLS(t)
	old := redis.NewClient(&redis.Options{Addr: s.TLSAddr(), TLSConfig: s.ClientTLS()})
	t.Cleanup(func() { _ = old.Close() })
	for range 2 {
		if err := old.Ping(t.Context()).Err(); err != nil {
			t.Errorf("ping on a connection that is open: %v", err)
		}
		s.Expire()
	}
	err := pingTLS(t, s.TLSAddr(), s.ClientTLS())
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("ping with an expired certificate of the server: %v", err)
	}
	s.Renew()
	if err := pingTLS(t, s.TLSAddr(), s.ClientTLS()); err != nil {
		t.Errorf("ping with the new certificate: %v", err)
	}
}

func isErr[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
