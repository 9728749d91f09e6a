// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
)

// ErrTest is the error of handlers, payloads and hooks that fail. Its error.type is
// PlainErrorType.
var ErrTest = errors.New("the report could not be made")

// PlainErrorType is the error.type of an error of errors.New or fmt.Errorf, such as
// those of go-redis for a payload that it refuses.
const PlainErrorType = "*errors.errorString"

// TypedError is an error of a named type. Its error.type is TypedErrorType.
type TypedError struct{}

// Error returns the text of the error.
func (TypedError) Error() string { return "no such report" }

// TypedErrorType is the error.type of a TypedError.
const TypedErrorType = "github.com/tracedpubsub/tracedpubsub/internal/tracetest.TypedError"

// ServerError is an error reply of a server: a redis.Error.
type ServerError string

// Error returns the reply.
func (e ServerError) Error() string { return string(e) }

// RedisError marks the error as one of the server.
func (ServerError) RedisError() {}

// FailingPublisher is a Publisher whose commands have failed when it returns them.
type FailingPublisher struct{ Err error }

// Publish returns a command with the error, and sends nothing.
func (p FailingPublisher) Publish(ctx context.Context, channel string, message any) *redis.IntCmd {
	cmd := redis.NewIntCmd(ctx, "publish", channel, message)
	cmd.SetErr(p.Err)
	return cmd
}

// AssertSameError asserts that err has the text of want, the error that go-redis alone
// returns.
func AssertSameError(t *testing.T, err, want error) {
	t.Helper()
	if err == nil || want == nil || err.Error() != want.Error() {
		t.Errorf("error is %v, want %v, as go-redis has it", err, want)
	}
}

// As is errors.AsType, which Go has from 1.26 on.
func As[E error](err error) (e E, ok bool) {
	ok = errors.As(err, &e)
	return e, ok
}
