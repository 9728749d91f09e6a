// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package rediscmd_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
)

// A WireMessage prints as its envelope, and marshals to it: for go-redis, and for logs.
func TestWireMessage(t *testing.T) {
	m := rediscmd.NewWireMessage(envelope)
	if got := m.String(); got != envelope {
		t.Errorf("String() = %q, want %q", got, envelope)
	}
	if got := fmt.Sprint(m); got != envelope {
		t.Errorf("it prints %q, want %q", got, envelope)
	}
	if b, err := m.MarshalBinary(); err != nil || string(b) != envelope || cap(b) != len(b) {
		t.Errorf("MarshalBinary() = %q (capacity %d), %v, want %q and no more", b, cap(b), err, envelope)
	}
	got, err := json.Marshal(m)
	want, _ := json.Marshal(envelope)
	if err != nil || string(got) != string(want) {
		t.Errorf("in JSON it is %s, %v, want %s", got, err, want)
	}
	text, err := m.MarshalText()
	if err != nil || string(text) != envelope {
		t.Errorf("MarshalText() = %q, %v, want %q", text, err, envelope)
	}
	clear(text) // the caller may change it
	if got := m.String(); got != envelope {
		t.Errorf("the envelope has become %q", got)
	}
}

// A mock or a log may copy arguments deeply, and compare them.
func TestWireMessageMayBeCopied(t *testing.T) {
	for _, want := range []string{"", "x", strings.Repeat("x", 2500)} {
		m := rediscmd.NewWireMessage(want)
		original := reflect.ValueOf(m)
		copied := reflect.New(original.Type().Elem())
		copied.Elem().Set(original.Elem())
		if got := fmt.Sprint(copied.Interface()); got != want {
			t.Fatalf("the copy prints %.200q, want %.200q", got, want)
		}
		if !reflect.DeepEqual(copied.Interface(), m) {
			t.Fatal("a message and its copy are not equal")
		}
	}
	if reflect.DeepEqual(rediscmd.NewWireMessage("x"), rediscmd.NewWireMessage("y")) {
		t.Error("two messages of one length are equal")
	}
}
