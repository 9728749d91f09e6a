// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"fmt"
	"strings"
	"time"
)

// SubscriptionError reports that channels or patterns of a subscription cannot be
// received, or that they can be received again. The error handler gets it (see
// [WithErrorHandler]), and [PubSub.Ready] returns it.
//
// An outage is reported when an attempt to end it fails, and once more when it is
// over. Messages that were published during an outage are lost, because Redis
// Pub/Sub delivers at most once. The same failure is reported at most once a
// second.
type SubscriptionError struct {
	// Op is what failed: [OpConnect], [OpReceive], or the command that the server
	// refused, such as [OpSubscribe].
	Op string
	// Channels are the channels and patterns that are affected, sorted.
	Channels []string
	// Recovered is true if the outage is over: the server has confirmed the
	// subscription to Channels again. Err is then the cause of the outage.
	Recovered bool
	// Downtime is the length of the outage so far: the time since the last moment
	// at which Channels were certainly received, or the whole outage if it is over.
	// A report that stands for several outages counts from the first of them.
	Downtime time.Duration
	// Count is how many failures this report stands for: those since the last report
	// of the same failure. It is at least 1.
	Count int
	// Err is the cause.
	Err error
}

// The values of [SubscriptionError].Op.
const (
	OpConnect      = "connect"      // no connection could be made
	OpReceive      = "receive"      // a connection was lost
	OpSubscribe    = "subscribe"    // the server refused the command, as below
	OpPSubscribe   = "psubscribe"   //
	OpSSubscribe   = "ssubscribe"   //
	OpUnsubscribe  = "unsubscribe"  //
	OpPUnsubscribe = "punsubscribe" //
	OpSUnsubscribe = "sunsubscribe" // also: the server no longer owns the channel
)

// Error returns a text with the fields of e. Of many channels it names the first
// three.
func (e *SubscriptionError) Error() string {
	const few = 3
	names := strings.Join(e.Channels[:min(few, len(e.Channels))], ", ")
	if more := len(e.Channels) - few; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	text := fmt.Sprintf("tracedpubsub: %s %s: %v", e.Op, names, e.Err)
	if downtime := e.Downtime.Round(time.Millisecond); e.Recovered {
		text += fmt.Sprintf(" (recovered after %v)", downtime)
	} else if e.Downtime > 0 {
		text += fmt.Sprintf(" (down for %v)", downtime)
	}
	if e.Count > 1 {
		text += fmt.Sprintf(" (%d times)", e.Count)
	}
	return text
}

// Unwrap returns the cause.
func (e *SubscriptionError) Unwrap() error { return e.Err }
