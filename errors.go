// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// SubscriptionError reports that channels or patterns of a subscription cannot be
// received, or that they can be received again. The error handler gets it (see
// [WithErrorHandler]), and [PubSub.Ready] returns it.
//
// An outage is reported when it is known: a connection is lost and the first attempt
// to replace it has failed, or the server refuses a channel. While it lasts, it is
// reported after 1 s, 2 s, 4 s, and so on, up to a minute. When it is over, it is
// reported exactly once, with Recovered, also if it was too short for the first report. If
// Close or Unsubscribe ends it, that is reported without Recovered. If the client is closed,
// one report stands for all that were still to come, and the subscription is closed.
//
// Lost connections and refused channels are reported apart. Channels that recover wait up to
// a second for others that are still down, so that one outage has one report of its end.
// Messages that were published during an outage are lost, because Redis Pub/Sub delivers at
// most once.
type SubscriptionError struct {
	// Op is the operation that failed: [OpConnect], [OpReceive], or the name of a
	// command, such as [OpSubscribe].
	Op string
	// Channels are the channels and patterns that are affected, sorted.
	Channels []string
	// Recovered is true if the outage is over: the server has confirmed the
	// subscription to Channels again. Err is then the cause of the outage.
	Recovered bool
	// Downtime is the length of the outage so far. It reaches back from the report to the
	// last moment at which everything on Channels was certainly received, so it is never
	// too short. It may be longer than the gap: by a second or so while messages arrive,
	// by the silence before a PING otherwise (see [WithHealthCheckInterval]), and on a
	// cluster and with Sentinels by up to 12 s, since the servers are asked only every 10 s
	// if they are still the right ones. It is 0 if there are no Channels.
	Downtime time.Duration
	// Count is the number of failures that this report stands for: those since the last
	// report of the same failure. It is at least 1.
	Count int
	// Err is the cause.
	Err error
}

// The values of [SubscriptionError].Op.
const (
	// OpConnect means that no connection could be made.
	OpConnect = "connect"
	// OpReceive means that a connection was lost.
	OpReceive = "receive"

	// The name of a command means that the server refused it, or that another server of
	// the cluster or Ring has taken over the channel or pattern.
	OpSubscribe    = "subscribe"
	OpPSubscribe   = "psubscribe"
	OpSSubscribe   = "ssubscribe"
	OpUnsubscribe  = "unsubscribe"
	OpPUnsubscribe = "punsubscribe"
	OpSUnsubscribe = "sunsubscribe"

	// OpClientSetName means that the server refused the name of [PubSub.ClientSetName].
	// There are no Channels then: everything is received all the same.
	OpClientSetName = "client setname"
)

// Error returns a text with the fields of e. It names at most three of the channels, in
// quotes, and cuts long names.
func (e *SubscriptionError) Error() string {
	text := "tracedpubsub: " + e.Op
	if len(e.Channels) > 0 {
		text += " " + e.channels()
	}
	text += fmt.Sprintf(": %v", e.Err)
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

// channels returns at most three of the channels, for a log, and how many more there are.
func (e *SubscriptionError) channels() string {
	const few = 3
	names := make([]string, min(few, len(e.Channels)))
	for i := range names {
		names[i] = strconv.Quote(shorten(e.Channels[i]))
	}
	text := strings.Join(names, ", ")
	if more := len(e.Channels) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// LogValue returns the fields of e, for package log/slog: op, channels (as in Error),
// recovered, downtime, count and err.
func (e *SubscriptionError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("op", e.Op),
		slog.String("channels", e.channels()),
		slog.Bool("recovered", e.Recovered),
		slog.Duration("downtime", e.Downtime),
		slog.Int("count", e.Count),
		slog.Any("err", e.Err),
	)
}

// Unwrap returns the cause.
func (e *SubscriptionError) Unwrap() error { return e.Err }

// maxText is the length at which names and payloads are cut in texts for logs, in bytes.
const maxText = 100

// shorten cuts s to maxText bytes, and marks that with an ellipsis.
func shorten(s string) string {
	if len(s) <= maxText {
		return s
	}
	return s[:maxText] + "…"
}

// printable returns s for a log. If s is long or has non-printable characters, such as a
// newline, it is cut and quoted.
func printable(s string) string {
	if len(s) <= maxText && strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) || r == utf8.RuneError }) < 0 {
		return s
	}
	return strconv.Quote(shorten(s))
}
