// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// dialError returns an error as package net makes them.
func dialError(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }

// The error of a command has an error.type: what the server has replied, else where the
// client has failed, else the Go type.
func TestErrorTypes(t *testing.T) {
	rows := []struct {
		name, reason string
		err          error
		want         string
	}{
		{"ERR", "the usual prefix", tracetest.ServerError("ERR unknown command"), "ERR"},
		{"MOVED", "with arguments", tracetest.ServerError("MOVED 3999 127.0.0.1:6381"), "MOVED"},
		{"ASK", "with arguments", tracetest.ServerError("ASK 3999 127.0.0.1:6381"), "ASK"},
		{"READONLY", "a replica", tracetest.ServerError("READONLY You can't write against a read only replica."), "READONLY"},
		{"LOADING", "a server that starts", tracetest.ServerError("LOADING Redis is loading the dataset in memory"), "LOADING"},
		{"CLUSTERDOWN", "a longer prefix", tracetest.ServerError("CLUSTERDOWN Hash slot not served"), "CLUSTERDOWN"},
		{"CROSSSLOT", "an error that go-redis exports", redis.ErrCrossSlot, "CROSSSLOT"},
		{"prefix alone", "nothing behind it", tracetest.ServerError("NOREPLICAS"), "NOREPLICAS"},
		{"digits", "a prefix may have them, but for its first letter", tracetest.ServerError("E2BIG too big"), "E2BIG"},
		{"digit first", "is no prefix", tracetest.ServerError("2BIG too big"), "_OTHER"},
		{"one letter", "is a prefix", tracetest.ServerError("X marks the spot"), "X"},
		{"32 characters", "the longest prefix", tracetest.ServerError(strings.Repeat("A", 32) + " x"), strings.Repeat("A", 32)},
		{"33 characters", "is no prefix: a script may say anything", tracetest.ServerError(strings.Repeat("A", 33) + " x"), "_OTHER"},
		{"lower case", "a sentence, not a prefix", tracetest.ServerError("user_script:1: no such report"), "_OTHER"},
		{"mixed case", "a sentence, not a prefix", tracetest.ServerError("Err no"), "_OTHER"},
		{"punctuation", "is no prefix", tracetest.ServerError("ERR: no"), "_OTHER"},
		{"line break", "is no prefix", tracetest.ServerError("ERR\nno"), "_OTHER"},
		{"empty reply", "is no prefix", tracetest.ServerError(""), "_OTHER"},
		{"redis.Nil", "the server has replied, with nothing", redis.Nil, "_OTHER"},
		{"wrapped reply", "a hook may have wrapped it", fmt.Errorf("my hook: %w", tracetest.ServerError("NOPERM no")), "NOPERM"},
		{"reply beside a timeout", "the server has replied, all the same", errors.Join(tracetest.ServerError("NOPERM no"), context.DeadlineExceeded), "NOPERM"},

		{"deadline", "of the context", context.DeadlineExceeded, "timeout"},
		{"wrapped deadline", "a hook may have wrapped it", fmt.Errorf("my hook: %w", context.DeadlineExceeded), "timeout"},
		{"i/o timeout", "of a connection", dialError(os.ErrDeadlineExceeded), "timeout"},
		{"ETIMEDOUT", "of the kernel", dialError(os.NewSyscallError("connect", syscall.ETIMEDOUT)), "timeout"},
		{"pool timeout", "all connections in use", redis.ErrPoolTimeout, "timeout"},
		{"canceled", "of the context", context.Canceled, "canceled"},
		{"canceled dial", "the context, not the network", dialError(context.Canceled), "canceled"},

		{"refused", "no server listens", dialError(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "connection"},
		{"reset", "the server has exited", syscall.ECONNRESET, "connection"},
		{"no such host", "a name without an address", dialError(&net.DNSError{Err: "no such host", Name: "nowhere", IsNotFound: true}), "connection"},
		{"EOF", "the server has closed the connection", io.EOF, "connection"},
		{"unexpected EOF", "the server has closed the connection in the middle of a reply", io.ErrUnexpectedEOF, "connection"},
		{"closed connection", "of package net", net.ErrClosed, "connection"},
		{"closed client", "of go-redis", redis.ErrClosed, "connection"},
		{"wrapped EOF", "a hook may have wrapped it", fmt.Errorf("my hook: %w", io.EOF), "connection"},

		{"plain", "none of these: the Go type", tracetest.ErrTest, "*errors.errorString"},
		{"typed", "none of these: the Go type, with its package", tracetest.TypedError{}, tracetest.TypedErrorType},
		{"wrapped", "the type of fmt.Errorf says nothing", fmt.Errorf("my hook: %w", tracetest.TypedError{}), tracetest.TypedErrorType},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			rec := tracetest.NewRecorder(t)
			tracetest.SetGlobalTracer(t, rec)
			cmd := tracedpubsub.Publish(tracetest.Context(t), tracetest.FailingPublisher{Err: row.err}, "reports", "hello")
			if !errors.Is(cmd.Err(), row.err) {
				t.Errorf("the command has %v, want %v", cmd.Err(), row.err)
			}
			span := rec.Spans(t, 1)[0]
			tracetest.AssertFailed(t, span, row.want)
			tracetest.AssertAttributes(t, span, tracetest.Messaging("publish", "reports", attribute.String("error.type", row.want))...)
			if got := span.Status().Description; got != row.err.Error() {
				t.Errorf("the status description is %q, want %q: %s", got, row.err, row.reason)
			}
		})
	}
}
