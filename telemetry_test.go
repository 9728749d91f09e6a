// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

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
)

// answer is an error with which a server answers.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

// answering is a Publisher whose commands have an error at once.
type answering struct{ err error }

func (a answering) Publish(ctx context.Context, channel string, message any) *redis.IntCmd {
	cmd := redis.NewIntCmd(ctx, "publish", channel, message)
	cmd.SetErr(a.err)
	return cmd
}

// dialError is an error as package net makes them.
func dialError(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }

func TestErrorTypes(t *testing.T) {
	rows := []struct {
		name, reason string
		err          error
		want         string
	}{
		{"ERR", "the usual word", answer("ERR unknown command"), "ERR"},
		{"MOVED", "with arguments", answer("MOVED 3999 127.0.0.1:6381"), "MOVED"},
		{"ASK", "with arguments", answer("ASK 3999 127.0.0.1:6381"), "ASK"},
		{"READONLY", "a replica", answer("READONLY You can't write against a read only replica."), "READONLY"},
		{"LOADING", "a server that starts", answer("LOADING Redis is loading the dataset in memory"), "LOADING"},
		{"CLUSTERDOWN", "a longer word", answer("CLUSTERDOWN Hash slot not served"), "CLUSTERDOWN"},
		{"CROSSSLOT", "an error that go-redis exports", redis.ErrCrossSlot, "CROSSSLOT"},
		{"word alone", "nothing behind it", answer("NOREPLICAS"), "NOREPLICAS"},
		{"digits", "a prefix may have them, but for its first letter", answer("E2BIG too big"), "E2BIG"},
		{"digit first", "is no prefix", answer("2BIG too big"), "_OTHER"},
		{"one letter", "is a prefix", answer("X marks the spot"), "X"},
		{"32 characters", "the longest prefix", answer(strings.Repeat("A", 32) + " x"), strings.Repeat("A", 32)},
		{"33 characters", "is no prefix: a script may say anything", answer(strings.Repeat("A", 33) + " x"), "_OTHER"},
		{"lower case", "a sentence, not a prefix", answer("user_script:1: no such report"), "_OTHER"},
		{"mixed case", "a sentence, not a prefix", answer("Err no"), "_OTHER"},
		{"punctuation", "is no prefix", answer("ERR: no"), "_OTHER"},
		{"line break", "is no prefix", answer("ERR\nno"), "_OTHER"},
		{"empty answer", "is no prefix", answer(""), "_OTHER"},
		{"redis.Nil", "the server has answered, with nothing", redis.Nil, "_OTHER"},
		{"wrapped answer", "a hook may have wrapped it", fmt.Errorf("my hook: %w", answer("NOPERM no")), "NOPERM"},
		{"answer beside a timeout", "the server has answered, all the same", errors.Join(answer("NOPERM no"), context.DeadlineExceeded), "NOPERM"},

		{"deadline", "of the context", context.DeadlineExceeded, "timeout"},
		{"wrapped deadline", "a hook may have wrapped it", fmt.Errorf("my hook: %w", context.DeadlineExceeded), "timeout"},
		{"i/o timeout", "of a connection", dialError(os.ErrDeadlineExceeded), "timeout"},
		{"ETIMEDOUT", "of the kernel", dialError(os.NewSyscallError("connect", syscall.ETIMEDOUT)), "timeout"},
		{"pool timeout", "all connections in use", redis.ErrPoolTimeout, "timeout"},
		{"canceled", "of the context", context.Canceled, "canceled"},
		{"canceled dial", "the context, not the network", dialError(context.Canceled), "canceled"},

		{"refused", "nobody listens", dialError(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "connection"},
		{"reset", "the server has gone", syscall.ECONNRESET, "connection"},
		{"no such host", "a name that nobody knows", dialError(&net.DNSError{Err: "no such host", Name: "nowhere", IsNotFound: true}), "connection"},
		{"EOF", "the server has hung up", io.EOF, "connection"},
		{"unexpected EOF", "the server has hung up in the middle", io.ErrUnexpectedEOF, "connection"},
		{"closed connection", "of package net", net.ErrClosed, "connection"},
		{"closed client", "of go-redis", redis.ErrClosed, "connection"},
		{"wrapped EOF", "a hook may have wrapped it", fmt.Errorf("my hook: %w", io.EOF), "connection"},

		{"plain", "none of these: the Go type", errHandler, "*errors.errorString"},
		{"typed", "none of these: the Go type, with its package", handlerError{}, handlerErrorType},
		{"wrapped", "the type of fmt.Errorf says nothing", fmt.Errorf("my hook: %w", handlerError{}), handlerErrorType},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			rec := newRecorder(t)
			setGlobalTracer(t, rec)
			cmd := tracedpubsub.Publish(testContext(t), answering{row.err}, "reports", "hello")
			if !errors.Is(cmd.Err(), row.err) {
				t.Errorf("the command has %v, want %v", cmd.Err(), row.err)
			}
			span := rec.spans(t, 1)[0]
			assertFailed(t, span, row.want)
			assertAttributes(t, span, messaging("publish", "reports", attribute.String("error.type", row.want))...)
			if got := span.Status().Description; got != row.err.Error() {
				t.Errorf("the status says %q, want %q: %s", got, row.err, row.reason)
			}
		})
	}
}
