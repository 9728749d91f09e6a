// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/tracedpubsub/tracedpubsub"
)

// consume calls loop, which consumes sub. When ctx is canceled, it shuts sub down: loop handles
// what the server has sent by then, and ends. That is why loop gets another context.
func consume(ctx context.Context, sub *tracedpubsub.PubSub, loop func(context.Context) error) error {
	shutdown := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		shutdown <- sub.Shutdown(ctx)
	})
	err := loop(context.WithoutCancel(ctx))
	if stop() {
		return err // the loop has ended by itself
	}
	return errors.Join(err, <-shutdown)
}
