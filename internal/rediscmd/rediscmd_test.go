// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package rediscmd_test

import (
	"context"
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
