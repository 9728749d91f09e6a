// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// What a command holds is its own, for as long as anybody holds the command:
// hooks, logs and mocks of other people see the envelope that is sent, and not the
// next one.
func TestACommandKeepsItsEnvelope(t *testing.T) {
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
		if payload := fmt.Sprint(i, strings.Repeat("x", i)); decoded(t, sent) != payload {
			t.Fatalf("message %d is %q, want an envelope of %q", i, sent, payload)
		}
		if got, want := cmd.String(), "publish reports "+sent+": 1"; got != want {
			t.Errorf("the command prints\n%s, want\n%s", got, want)
		}
		if got := fmt.Sprint(cmd.Args()[2]); got != sent {
			t.Errorf("the argument prints\n%s, want\n%s", got, sent)
		}
		if got, want := logged(t, cmd.Args()[2]), logged(t, sent); got != want {
			t.Errorf("in JSON the argument is\n%s, want\n%s", got, want)
		}
		b, err := cmd.Args()[2].(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil || string(b) != sent || cap(b) != len(b) {
			t.Errorf("the argument marshals to\n%s (room for %d), %v, want\n%s", b, cap(b)-len(b), err, sent)
		}
	}
}

// A mock or a log may copy arguments deeply, and compare them.
func TestAnArgumentMayBeCopied(t *testing.T) {
	ctx, rdb := tracetest.Context(t), redistest.Start(t).Client()
	raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
	for size := range 2500 {
		cmd := tracedpubsub.Publish(ctx, rdb, "reports", strings.Repeat("x", size))
		tracetest.AssertSent(t, cmd)
		sent := tracetest.NextRaw(t, raw).Payload
		argument := reflect.ValueOf(cmd.Args()[2])
		copied := reflect.New(argument.Type().Elem())
		copied.Elem().Set(argument.Elem())
		if got := fmt.Sprint(copied.Interface()); got != sent || decoded(t, got) != strings.Repeat("x", size) {
			t.Fatalf("the copy of an envelope prints\n%.200q, want\n%.200q", got, sent)
		}
		if !reflect.DeepEqual(copied.Interface(), cmd.Args()[2]) {
			t.Fatal("an argument and its copy are not equal")
		}
	}
	one := tracedpubsub.Publish(ctx, rdb, "reports", "x")
	if other := tracedpubsub.Publish(ctx, rdb, "reports", "y"); reflect.DeepEqual(other.Args(), one.Args()) {
		t.Error("two envelopes of one length pass for the same")
	}
}

func logged(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func decoded(t *testing.T, message string) string {
	t.Helper()
	e, err := tracedpubsub.Decode(message)
	if err != nil {
		t.Errorf("Decode(%q): %v", message, err)
	}
	return e.Payload
}
