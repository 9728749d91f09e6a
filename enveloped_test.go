// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"encoding"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// What a command holds is its own, for as long as anybody holds the command:
// hooks, logs and mocks of other people see the envelope that is sent, and not the
// next one.
func TestACommandKeepsItsEnvelope(t *testing.T) {
	const messages = 200
	ctx, rdb := testContext(t), redistest.Start(t).Client()
	raw := readyRaw(t, rdb.Subscribe(ctx, "reports"))
	pipe := rdb.Pipeline()
	var cmds []*redis.IntCmd
	for i := range messages {
		cmds = append(cmds, tracedpubsub.Publish(ctx, pipe, "reports", fmt.Sprint(i, strings.Repeat("x", i))))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	for i, cmd := range cmds {
		sent := nextRaw(t, raw).Payload
		if payload := fmt.Sprint(i, strings.Repeat("x", i)); decoded(t, sent) != payload {
			t.Fatalf("message %d is %q, want an envelope of %q", i, sent, payload)
		}
		if got, want := cmd.String(), "publish reports "+sent+": 1"; got != want {
			t.Errorf("the command prints\n%s, want\n%s", got, want)
		}
		if got := fmt.Sprint(cmd.Args()[2]); got != sent {
			t.Errorf("the argument prints\n%s, want\n%s", got, sent)
		}
		b, err := cmd.Args()[2].(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil || string(b) != sent || cap(b) != len(b) {
			t.Errorf("the argument marshals to\n%s (room for %d), %v, want\n%s", b, cap(b)-len(b), err, sent)
		}
	}
}

func decoded(t *testing.T, message string) string {
	t.Helper()
	e, err := tracedpubsub.Decode(message)
	if err != nil {
		t.Errorf("Decode(%q): %v", message, err)
	}
	return e.Payload
}
