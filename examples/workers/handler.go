// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// Order is the payload of the channel, as JSON.
type Order struct {
	ID       string `json:"id"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
}

// packer handles orders. Its dependencies are functions, so that a test can replace them.
type packer struct {
	save func(ctx context.Context, order Order) error
}

// pack handles one message. ctx has the consumer span, to which an error is added. Redis
// Pub/Sub does not deliver a message again: what cannot be done now is to be tried here.
func (p *packer) pack(ctx context.Context, msg *tracedpubsub.Message) error {
	var order Order
	if err := msg.JSON(&order); err != nil {
		return err
	}
	if order.ID == "" || order.Quantity < 1 {
		return fmt.Errorf("order %q of %d: an order needs an id and a quantity", order.ID, order.Quantity)
	}
	if err := p.save(ctx, order); err != nil {
		return fmt.Errorf("save order %s: %w", order.ID, err)
	}
	slog.InfoContext(ctx, "packed", "order", order.ID, "item", order.Item)
	return nil
}

// saveIn returns a function that saves packed orders in Redis.
func saveIn(rdb redis.UniversalClient) func(context.Context, Order) error {
	return func(ctx context.Context, order Order) error {
		return rdb.HSet(ctx, "packed", order.ID, order.Item).Err()
	}
}

// logged returns a handler that logs the errors of next.
func logged(next tracedpubsub.Handler) tracedpubsub.Handler {
	return func(ctx context.Context, msg *tracedpubsub.Message) error {
		err := next(ctx, msg)
		if err != nil {
			slog.ErrorContext(ctx, "message failed", "msg", msg, "err", err)
		}
		return err
	}
}
