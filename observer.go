// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// observer counts and reports what happens to a subscription.
type observer struct{ *PubSub }

var _ subscription.Observer = observer{}

// Failed counts a failure.
func (o observer) Failed(err error) {
	switch {
	case errors.Is(err, subscription.ErrSilent):
		err = failedAs("timeout")
	case errors.Is(err, subscription.ErrMoved), errors.Is(err, subscription.ErrRemoved):
		err = failedAs("MOVED") // what the server would reply
	}
	o.cfg.telemetry.CountSubscriptionError(context.Background(), o.server, err)
}

// Reconnected counts a connection that has replaced a lost one.
func (o observer) Reconnected() {
	o.cfg.telemetry.CountReconnect(context.Background(), o.server)
}

// Report passes a report to the error handler.
func (o observer) Report(f *subscription.Failure) { o.cfg.handle((*SubscriptionError)(f)) }

// failedAs is an error with this error.type.
type failedAs string

func (e failedAs) Error() string     { return string(e) }
func (e failedAs) ErrorType() string { return string(e) }
