// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// Receive receives messages that already wait in the buffers of the server and the kernel,
// for a subscriber that has not begun to read. With several channels it subscribes to a
// pattern.
var Receive = &Scenario{"receive", receiveVariants()}

// receiver is a way to receive.
type receiver struct {
	name      string
	message   func(*Env, Setting) (string, error) // the message of its publisher
	subscribe func(*Env, Setting, string) (*subscription, error)
	publish   func(*Env, Setting) (*publishing, error) // the publisher, if no message is like another
}

// subscription is a subscription that has sent its SUBSCRIBE, and reads nothing yet.
type subscription struct {
	// drain calls handle with the payload of each of the next n messages, in a consumer
	// span if the receiver makes one. It returns earlier if the subscription is closed.
	drain func(n int, handle func(payload string))
	close func() error
}

var receivers = []receiver{
	{Raw, bareMessage, receiveRaw, nil},
	{RawLoop, bareMessage, receiveRawLoop, nil},
	{Floor, libraryMessage, receiveFloor, nil},
	{Library, libraryMessage, receiveLibrary(drainMessages), nil},
	{LibraryDropped, libraryMessage, receiveDropped, nil},
	{LibraryAccounting, nil, receiveLibrary(drainMessages), connectSilently},
	{LibraryProcess, libraryMessage, receiveLibrary(drainProcess), nil},
	{LibraryChannel, libraryMessage, receiveLibrary(drainChannel), nil},
	{LibraryReceive, libraryMessage, receiveLibrary(drainReceive), nil},
	{LibraryFromRedis, libraryMessage, receiveFromRedis, nil},
	{Tutorial, tutorialMessage, receiveTutorial, nil},
	{Rueidis, bareMessage, receiveRueidis, nil},
	{Rueidisotel, bareMessage, receiveRueidisotel, nil},
}

func receiveVariants() []Variant {
	var variants []Variant
	for _, r := range receivers {
		variants = append(variants, Variant{r.name, r.bench})
	}
	return variants
}

// patience is how long it may take to receive a whole backlog, and the server to count a
// subscriber.
const patience = time.Minute

var subscribers atomic.Int64 // each has channels of its own

func (r receiver) bench(e *Env, s Setting) (*Bench, error) {
	prefix := "receive:" + strconv.FormatInt(subscribers.Add(1), 10) + ":"
	name := prefix + "0"
	if s.Channels > 1 {
		name = prefix + "*"
	}
	return r.benchOn(e, s, newNamer(prefix, s.Channels), name)
}

// benchOn publishes on each of the channels in turn. It subscribes to the channel called
// name, or to the channels of the receiver, of which name is the last.
func (r receiver) benchOn(e *Env, s Setting, names *namer, name string) (*Bench, error) {
	publish, closePublisher, err := r.publisher(e, s)
	if err != nil {
		return nil, err
	}
	var sub *subscription
	return &Bench{
		Prepare: func(n int) (err error) {
			if sub, err = r.subscribe(e, s, name); err != nil {
				return err
			}
			if err := e.waitForSubscribers(s, name, 1); err != nil {
				return err
			}
			return publish(names.take(n))
		},
		Do: func(n int) error {
			watchdog := time.AfterFunc(patience, func() { _ = sub.close() })
			defer watchdog.Stop()
			messages, size := 0, 0
			sub.drain(n, func(payload string) {
				messages++
				size += len(payload)
			})
			if messages != n || size != n*s.Size {
				return fmt.Errorf("received %d messages of %d bytes, want %d of %d", messages, size, n, n*s.Size)
			}
			return nil
		},
		Finish: func() error {
			if err := sub.close(); err != nil {
				return err
			}
			return e.waitForSubscribers(s, name, 0)
		},
		Close: closePublisher,
	}, nil
}

// publisher returns what publishes the messages of r, one on each channel, and what closes it.
func (r receiver) publisher(e *Env, s Setting) (publish func(channels []string) error, closePublisher func() error, err error) {
	if r.publish == nil {
		message, err := r.message(e, s)
		return func(channels []string) error { return e.publishAll(channels, message) }, nothing, err
	}
	p, err := r.publish(e, s)
	if err != nil {
		return nil, nil, err
	}
	return func(channels []string) error { return batches(e.context(s), p, channels, s.Payload()) }, p.close, nil
}

// waitForSubscribers waits until the server counts n subscribers of a channel, or n patterns.
func (e *Env) waitForSubscribers(s Setting, name string, n int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		var got int64
		var err error
		if s.Channels > 1 {
			got, err = e.rdb.PubSubNumPat(ctx).Result()
		} else {
			var all map[string]int64
			all, err = e.rdb.PubSubNumSub(ctx, name).Result()
			got = all[name]
		}
		if err != nil {
			return fmt.Errorf("wait for %d subscribers of %s: %w", n, name, err)
		}
		if got == n {
			return nil
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// publishAll publishes message on each of the channels.
func (e *Env) publishAll(channels []string, message string) error {
	ctx := context.Background()
	return batches(ctx, publishThrough(e.rdb), channels, message)
}
