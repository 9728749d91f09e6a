// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package rediscmd_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
)

func TestKindOf(t *testing.T) {
	for _, tt := range []struct {
		args []any
		want rediscmd.Kind
	}{
		{[]any{"publish", "c", "p"}, rediscmd.Publish},
		{[]any{"PUBLISH", "c", "p"}, rediscmd.Publish},
		{[]any{"SPublish", "c", 7}, rediscmd.SPublish},
		{[]any{"publish", "c"}, rediscmd.Other},           // Redis refuses it
		{[]any{"publish", "c", "p", "q"}, rediscmd.Other}, // likewise
		{[]any{"set", "k", "v"}, rediscmd.Other},
		{[]any{7, "c", "p"}, rediscmd.Other},
		{nil, rediscmd.Other},
	} {
		if got := rediscmd.KindOf(redis.NewCmd(context.Background(), tt.args...)); got != tt.want {
			t.Errorf("KindOf(%v) = %v, want %v", tt.args, got, tt.want)
		}
	}
}

func TestChannelOf(t *testing.T) {
	name := "c"
	for _, tt := range []struct {
		argument any
		want     string
		ok       bool
	}{
		{"c", "c", true}, {&name, "c", true}, {[]byte("c"), "c", true}, {7, "7", true}, {nil, "", true},
		{struct{}{}, "", false},
	} {
		got, ok := rediscmd.ChannelOf(redis.NewCmd(context.Background(), "publish", tt.argument, "p"))
		if got != tt.want || ok != tt.ok {
			t.Errorf("ChannelOf(%v) = %q, %v, want %q, %v", tt.argument, got, ok, tt.want, tt.ok)
		}
	}
}

// once is a payload that marshals one time only.
type once struct{ failed error }

func (o *once) MarshalBinary() ([]byte, error) {
	if o.failed == nil {
		o.failed = errors.New("used up")
		return nil, o.failed
	}
	return []byte("second"), nil
}

func TestRefused(t *testing.T) {
	o := new(once)
	_, err := rediscmd.PayloadBytes(nil, o)
	if !errors.Is(err, o.failed) {
		t.Fatalf("PayloadBytes returned %v, want the error of MarshalBinary", err)
	}
	refused := rediscmd.Refused(o, err)
	if _, again := rediscmd.PayloadBytes(nil, refused); !errors.Is(again, o.failed) {
		t.Errorf("marshaled again, it fails with %v, want %v", again, o.failed)
	}
	unsupported := struct{}{}
	_, err = rediscmd.PayloadBytes(nil, unsupported)
	if refused := rediscmd.Refused(unsupported, err); err == nil || refused != unsupported {
		t.Errorf("in place of a type that go-redis refuses there is %v (%v), want the payload itself", refused, err)
	}
}

func TestAllocationsOfPayloadBytes(t *testing.T) {
	scratch := make([]byte, 0, 64)
	for _, tt := range []struct {
		name    string
		payload any
	}{
		{"string", strings.Repeat("x", 1000)},
		{"bytes", make([]byte, 1000)},
		{"number", 1234567890},
		{"float", 1.5},
	} {
		if got := testing.AllocsPerRun(100, func() { _, _ = rediscmd.PayloadBytes(scratch, tt.payload) }); got != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, got)
		}
	}
}
