// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"encoding"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A command keeps the envelope that it has sent. Hooks, logs and mocks may read it at any
// time, also after the next message was published.
func TestCommandKeepsItsEnvelope(t *testing.T) {
	const messages = 200
	ctx, rdb := tracetest.Context(t), redistest.Start(t).Client()
	raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
	pipe := rdb.Pipeline()
	var cmds []*redis.IntCmd
	for i := range messages {
		cmds = append(cmds, tracedpubsub.Publish(ctx, pipe, "reports", fmt.Sprint(i, strings.Repeat("x", i))))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	for i, cmd := range cmds {
		sent := tracetest.NextRaw(t, raw).Payload
		want := fmt.Sprint(i, strings.Repeat("x", i))
		if e, err := tracedpubsub.Decode(sent); err != nil || e.Payload != want {
			t.Fatalf("message %d is %q, %v, want an envelope of %q", i, sent, err, want)
		}
		if got, want := cmd.String(), "publish reports "+sent+": 1"; got != want {
			t.Errorf("the command prints\n%s, want\n%s", got, want)
		}
		assertHolds(t, cmd.Args()[2], sent)
	}
}

// assertHolds asserts that an argument prints and marshals as the envelope.
func assertHolds(t *testing.T, argument any, envelope string) {
	t.Helper()
	if got := fmt.Sprint(argument); got != envelope {
		t.Errorf("the argument prints\n%s, want\n%s", got, envelope)
	}
	got, err := json.Marshal(argument)
	want, _ := json.Marshal(envelope)
	if err != nil || string(got) != string(want) {
		t.Errorf("in JSON the argument is\n%s, %v, want\n%s", got, err, want)
	}
	b, err := argument.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil || string(b) != envelope {
		t.Errorf("the argument marshals to\n%s, %v, want\n%s", b, err, envelope)
	}
}
