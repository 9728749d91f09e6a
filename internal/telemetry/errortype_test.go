// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// reply is an error with which a server has replied.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

// typed is an error that knows its error.type.
type typed struct{ error }

func (typed) ErrorType() string { return "mine" }

// The errors of a client are distinguished by what has failed, those of a handler by
// their type alone. More errors of clients are in TestErrorTypes of test/telemetry.
func TestErrorTypes(t *testing.T) {
	timeout := &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
	for _, row := range []struct {
		name, reason    string
		err             error
		client, handler string
	}{
		{"reply", "the prefix says what is wrong", reply("NOPERM no"), "NOPERM", "github.com/tracedpubsub/tracedpubsub/internal/telemetry.reply"},
		{"wrapped reply", "by a hook of the client", fmt.Errorf("hook: %w", reply("NOPERM no")), "NOPERM", "github.com/tracedpubsub/tracedpubsub/internal/telemetry.reply"},
		{"reply without prefix", "a script may reply with any text", reply("no such report"), "_OTHER", "github.com/tracedpubsub/tracedpubsub/internal/telemetry.reply"},
		{"reply with a long prefix", "likewise", reply(strings.Repeat("A", 33)), "_OTHER", "github.com/tracedpubsub/tracedpubsub/internal/telemetry.reply"},
		{"timeout of a connection", "a timeout before a failed connection", timeout, "timeout", "*net.OpError"},
		{"deadline", "of a context", context.DeadlineExceeded, "timeout", "context.deadlineExceededError"},
		{"cancellation", "of a context", context.Canceled, "canceled", "*errors.errorString"},
		{"closed client", "it has no connections", redis.ErrClosed, "connection", "*errors.errorString"},
		{"typed", "an error may say what it is", typed{errors.New("no")}, "mine", "mine"},
		{"typed reply", "what the server says counts more", typed{reply("NOPERM no")}, "mine", "mine"},
		{"plain", "only the type is known", errors.New("no"), "*errors.errorString", "*errors.errorString"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := clientErrorType(row.err); got != row.client {
				t.Errorf("of a client: %q, want %q: %s", got, row.client, row.reason)
			}
			if got := handlerErrorType(row.err); got != row.handler {
				t.Errorf("of a handler: %q, want %q: %s", got, row.handler, row.reason)
			}
		})
	}
}
