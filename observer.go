// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"errors"

	"github.com/tracedpubsub/tracedpubsub/internal/subscription"
)

// observer counts the reconnects and failures of a subscription, and reports the failures.
type observer struct{ *PubSub }

var _ subscription.Observer = observer{}

// Failed counts a failure.
func (o observer) Failed(err error) {
	o.cfg.telemetry.CountSubscriptionError(context.Background(), o.server, counted(err))
}

// counted returns the error as which err is counted.
func counted(err error) (as error) {
	as = err
	// An error of the application's Dialer, for example, may be a nil pointer.
	// CountSubscriptionError reports the panic.
	defer func() { _ = recover() }()
	switch {
	case errors.Is(err, subscription.ErrSilent), errors.Is(err, subscription.ErrBlocked),
		errors.Is(err, subscription.ErrConnectTimeout):
		return failedAs("timeout")
	case errors.Is(err, subscription.ErrMoved):
		return failedAs("MOVED") // the reply that the server would give
	}
	return err
}

// Reconnected counts a connection that has replaced a lost one.
func (o observer) Reconnected() {
	o.cfg.telemetry.CountReconnect(context.Background(), o.server)
}

// Report passes a report to the error handler.
func (o observer) Report(f *subscription.Failure) { o.cfg.handle((*SubscriptionError)(f)) }

// Removed forgets what has arrived for topics that were removed. If they are added once more,
// counting begins anew.
func (o observer) Removed(k subscription.Kind, names []string) {
	o.arrivals.forget(names, k == subscription.Patterns)
}

// Closed closes the subscription, so that its loops end.
func (o observer) Closed() { _ = o.Close() }

// failedAs is an error whose error.type is its text.
type failedAs string

func (e failedAs) Error() string     { return string(e) }
func (e failedAs) ErrorType() string { return string(e) }
