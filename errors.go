// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
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

// errClosed is what the methods of a closed PubSub return.
var errClosed = fmt.Errorf("tracedpubsub: subscription: %w", redis.ErrClosed)

var (
	errNotConnected = errors.New("tracedpubsub: not connected")
	errNoName       = errors.New("a Ring needs a name to find its shard by")
	errSilent       = errors.New("the server has not answered for too long")
	errMoved        = errors.New("another server has taken over")
	errRemoved      = errors.New("the server is no part of the cluster any more")
	errRetired      = errors.New("nothing left to subscribe to")
	errNoWish       = errors.New("nothing to subscribe to")
)

// trouble is what keeps names from being heard.
type trouble struct {
	op    string // "": nothing, they just have not been confirmed yet
	err   error
	since time.Time // of the last sign of life
}

func (t trouble) report(names []string) *SubscriptionError {
	first := repeats{}
	first.add(t, names)
	return first.error()
}

// reporter hands troubles to the error handler, each at most once in an
// interval.
type reporter struct {
	handle func(error)

	mu     sync.Mutex
	recent map[string]*repeats // by what is the same about a failure
	closed bool
}

const reportInterval = time.Second

// repeats is a failure that was reported not long ago, and how often it has
// happened since.
type repeats struct {
	timer *time.Timer // ends the interval
	over  bool        // they are outages that have ended
	last  trouble
	since time.Time // the first of them began
	until time.Time // when all names were heard again; zero: they are not
	names map[string]struct{}
	count int
}

// report reports that names are not heard.
func (r *reporter) report(t trouble, names []string) {
	r.add(t, names, false)
}

// recovered reports that names are heard again. What is still to be said of
// attempts that failed before is old news from then on.
func (r *reporter) recovered(t trouble, names []string) {
	r.mu.Lock()
	for _, p := range r.recent {
		p.heardAgain(names)
	}
	r.mu.Unlock()
	r.add(t, names, true)
}

func (r *reporter) add(t trouble, names []string, over bool) {
	key := fmt.Sprint(over, " ", t.op, " ", cause(t.err))
	r.mu.Lock()
	if known := r.recent[key]; known != nil {
		known.add(t, names)
		r.mu.Unlock()
		return
	}
	if !r.closed {
		if r.recent == nil {
			r.recent = make(map[string]*repeats)
		}
		r.recent[key] = r.begin(key, over)
	}
	r.mu.Unlock()
	first := repeats{over: over}
	first.add(t, names)
	r.handle(first.error())
}

// begin begins an interval. r.mu is held.
func (r *reporter) begin(key string, over bool) *repeats {
	return &repeats{over: over, timer: time.AfterFunc(reportInterval, func() { r.flush(key) })}
}

// cause is what errors of the same failure have in common: those of connections
// and lookups differ in their ports, those of a slot that has moved in its number.
func cause(err error) string {
	if _, moved := redis.IsMovedError(err); moved {
		return "MOVED"
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return "lookup " + lookup.Name
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func (p *repeats) add(t trouble, names []string) {
	if p.count == 0 || t.since.Before(p.since) {
		p.since = t.since
	}
	if p.names == nil {
		p.names = make(map[string]struct{}, len(names))
	}
	for _, name := range names {
		p.names[name] = struct{}{}
	}
	p.last = t
	p.until = time.Time{}
	p.count++
}

// heardAgain notes that names are. What has happened to others goes on.
func (p *repeats) heardAgain(names []string) {
	left := maps.Clone(p.names)
	for _, name := range names {
		delete(left, name)
	}
	switch {
	case p.over || p.count == 0:
	case len(left) == 0:
		p.until = time.Now()
	default:
		p.names = left
	}
}

func (p *repeats) error() *SubscriptionError {
	e := &SubscriptionError{
		Op:        p.last.op,
		Channels:  slices.Sorted(maps.Keys(p.names)),
		Count:     p.count,
		Err:       p.last.err,
		Recovered: p.over || !p.until.IsZero(),
	}
	switch {
	case p.since.IsZero():
	case p.until.IsZero():
		e.Downtime = time.Since(p.since)
	default:
		e.Downtime = p.until.Sub(p.since)
	}
	return e
}

// flush reports what has come together in an interval, and begins another; if
// nothing has, the failure is forgotten.
func (r *reporter) flush(key string) {
	r.mu.Lock()
	p := r.recent[key]
	if p == nil || r.closed {
		r.mu.Unlock()
		return
	}
	if p.count == 0 {
		delete(r.recent, key)
		r.mu.Unlock()
		return
	}
	r.recent[key] = r.begin(key, p.over)
	r.mu.Unlock()
	r.handle(p.error())
}

// close reports at once what was waiting for the end of an interval.
func (r *reporter) close() {
	r.mu.Lock()
	r.closed = true
	recent := r.recent
	r.recent = nil
	r.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(recent)) {
		p := recent[key]
		p.timer.Stop()
		if p.count > 0 {
			r.handle(p.error())
		}
	}
}
