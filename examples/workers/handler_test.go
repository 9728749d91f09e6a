// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"testing"

	"github.com/tracedpubsub/tracedpubsub"
)

// A handler is a function, and NewMessage makes its argument: this test needs no Redis.
func TestPack(t *testing.T) {
	var saved []Order
	p := &packer{save: func(_ context.Context, order Order) error {
		saved = append(saved, order)
		return nil
	}}
	msg := tracedpubsub.NewMessage(channel, "", `{"id":"7","item":"tea","quantity":2}`)
	if err := p.pack(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	if want := (Order{ID: "7", Item: "tea", Quantity: 2}); len(saved) != 1 || saved[0] != want {
		t.Errorf("saved is %v, want %v", saved, want)
	}
}

func TestPackRefuses(t *testing.T) {
	errFull := errors.New("full")
	for name, tt := range map[string]struct {
		payload string
		saveErr error
		want    error // nil: any
	}{
		"no JSON":                        {"tea", nil, nil},
		"no id":                          {`{"item":"tea","quantity":1}`, nil, nil},
		"nothing ordered":                {`{"id":"7","item":"tea"}`, nil, nil},
		"an envelope of a later version": {`{"tracedpubsub":2,"payload":{"id":"7","quantity":1}}`, nil, tracedpubsub.ErrUnsupportedVersion},
		"an order that is not stored":    {`{"id":"7","item":"tea","quantity":1}`, errFull, errFull},
	} {
		t.Run(name, func(t *testing.T) {
			saved := 0
			p := &packer{save: func(context.Context, Order) error {
				saved++
				return tt.saveErr
			}}
			err := p.pack(t.Context(), tracedpubsub.NewMessage(channel, "", tt.payload))
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("the error is %v, want %v", err, tt.want)
			}
			if saved > 0 && tt.saveErr == nil {
				t.Error("the order was saved")
			}
		})
	}
}
