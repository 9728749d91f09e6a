// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestPayloads(t *testing.T) {
	for _, kind := range Kinds {
		for _, size := range Sizes {
			payload := Setting{Kind: kind, Size: size}.Payload()
			if len(payload) != size {
				t.Errorf("%s of %d bytes has %d", kind, size, len(payload))
			}
			if got, want := utf8.ValidString(payload), kind != Binary; got != want {
				t.Errorf("%s of %d bytes is valid UTF-8: %v, want %v", kind, size, got, want)
			}
			if got, want := json.Valid([]byte(payload)), kind == JSON; got != want {
				t.Errorf("%s of %d bytes is valid JSON: %v, want %v", kind, size, got, want)
			}
		}
	}
}

func TestChannelsAreUsedInTurn(t *testing.T) {
	for _, tt := range []struct {
		count, taken, want int
		reason             string
	}{
		{1, 100, 1, "one is used again and again"},
		{100, 250, 100, "few are all used"},
		{1_000_000, 5_000, 5_000, "of many, none comes twice"},
	} {
		n, seen := newNamer("c:", tt.count), make(map[string]bool)
		for range 2 {
			for _, name := range n.take(tt.taken / 2) {
				seen[name] = true
			}
		}
		if len(seen) != tt.want {
			t.Errorf("%d of %d: %d names, want %d: %s", tt.taken, tt.count, len(seen), tt.want, tt.reason)
		}
	}
}

// Each variant of each scenario is there under one name, and runs in every kind of
// setting. What it does is looked at elsewhere.
func TestEveryVariantRuns(t *testing.T) {
	e, _ := newTestEnv(t)
	for _, scenario := range Scenarios {
		names := make(map[string]bool)
		for _, v := range scenario.Variants {
			if names[v.Name] {
				t.Errorf("%s has two variants %q", scenario.Name, v.Name)
			}
			names[v.Name] = true
			for _, sampling := range Samplings {
				s := Setting{Kind: JSON, Size: Small, Sampling: sampling, Metrics: true, Channels: 1_000_000}
				bench, err := v.Setup(e, s)
				if err == nil {
					err = bench.Run(8, func(do func() error) error { return do() })
				}
				if err != nil {
					t.Fatalf("%s, %s, %v: %v", scenario.Name, v.Name, s, err)
				}
				if err := bench.Close(); err != nil {
					t.Errorf("%s, %s, %v: close: %v", scenario.Name, v.Name, s, err)
				}
			}
		}
	}
}

// A run that does not get what it waits for is an error, and no number.
func TestAnotherMessageIsAnError(t *testing.T) {
	e, _ := newTestEnv(t)
	wrong := func(*Env, Setting) (string, error) { return "another one", nil }
	bench, err := receiver{Raw, wrong, receiveRaw, nil}.bench(e, Setting{Kind: Text, Size: Small, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := bench.Run(3, func(do func() error) error { return do() }); err == nil {
		t.Error("no error")
	}
}
