// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
)

// order is what the API publishes and the workers receive.
type order struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Rows  []row  `json:"rows"`
}

type row struct {
	Name   string `json:"name"`
	Amount int    `json:"amount"`
}

// parseOrder parses an order and checks it: the API does not trust its clients, and the
// workers do not trust the publishers of their channel.
func parseOrder(text []byte) (*order, error) {
	var o order
	if err := json.Unmarshal(text, &o); err != nil {
		return nil, err
	}
	const most = 1_000_000_000
	switch {
	case o.Title == "" || len(o.Title) > 100:
		return nil, errors.New("title must have 1 to 100 bytes")
	case len(o.Rows) < 1 || len(o.Rows) > 40:
		return nil, errors.New("rows must be 1 to 40")
	}
	for _, r := range o.Rows {
		switch {
		case r.Name == "" || len(r.Name) > 40:
			return nil, errors.New("the name of a row must have 1 to 40 bytes")
		case r.Amount < 0 || r.Amount > most:
			return nil, errors.New("the amount of a row must be 0 to 1,000,000,000")
		}
	}
	return &o, nil
}

// sample is the order that the program itself sends.
var sample = order{
	Title: "Sales by region",
	Rows:  []row{{"north", 42}, {"east", 17}, {"south", 64}, {"west", 28}},
}

// sampleJSON is a short order, for people.
const sampleJSON = `{"title":"Sales","rows":[{"name":"north","amount":42}]}`

// report is the result of an order.
type report struct {
	ID      string            `json:"id"`
	Title   string            `json:"title"`
	Status  string            `json:"status"` // complete or pending
	Missing []string          `json:"missing,omitempty"`
	Parts   map[string]string `json:"parts"`
}

func (r *report) complete() bool { return len(r.Missing) == 0 }
