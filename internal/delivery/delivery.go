// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package delivery counts the messages that a subscriber has missed, from the numbers that
// publishers give to their messages.
//
// The messages of one publisher on one channel are a stream. [Streams] holds all streams of a
// subscription (delivery.go), and each keeps which of its numbers are missing (window.go). The
// package has no clock and no lock: the caller says what time it is, and makes one call at a
// time.
package delivery

import (
	"container/list"
	"hash/maphash"
	"time"
	"unique"
)

const (
	// Patience is how long a missing number is waited for. No number of later ones shortens it:
	// a goroutine that is suspended between numbering and sending is overtaken by any number.
	Patience = 5 * time.Second
	// MaxGaps is the number of ranges of missing numbers that are kept, of all streams. When there
	// are more, the first range of the stream that needs one is lost at once.
	MaxGaps = 65_536
	// MaxSkipped is how many numbers a message may skip that counts. No publisher sends more within
	// an outage, so with a larger number the stream begins anew.
	MaxSkipped = 1 << 32
	// MaxStreams is the number of streams that are kept. When there are more, the one that has
	// not been used for the longest time is forgotten.
	MaxStreams = 65_536

	// maxTemplate is the length of the longest template that is kept. It may be the name of a
	// channel, which publishers choose.
	maxTemplate = 256
	// keptGaps is the number of gaps that a stream has room for, even when it has fewer.
	keptGaps = 16
	// If so many messages in a row are so far behind the largest number of a stream, that was
	// wrong, and the stream begins anew.
	wrongAfter, farBehind = 16, 1 << 20
)

// Key identifies a stream. Pattern is empty unless a pattern subscription has received the
// message: a subscriber gets a message once for the channel and once for each pattern.
type Key struct{ Source, Channel, Pattern string }

// Arrival is what the arrival of a message tells about its stream.
type Arrival struct {
	Skipped   int64 // how many numbers right before it are missing
	Lost      int64 // how many missing numbers are lost, because there are too many gaps
	Duplicate bool  // the number had arrived before
}

// Loss is a number of messages of a stream that are lost.
type Loss struct {
	Template string // of the stream; empty if it is longer than 256 bytes
	Messages int64
}

// Streams holds the streams of a subscription. The zero Streams is empty and ready to use. It
// is not safe for concurrent use.
type Streams struct {
	byKey   map[hashedKey]*stream
	byTopic map[topic]*list.List // of *stream
	recent  list.List            // of *stream, the one that was used last in front
	waiting []*stream            // those with missing numbers
	gaps    int                  // of all streams
}

// stream is what is known of one publisher on one channel.
type stream struct {
	window

	key      hashedKey
	template unique.Handle[string] // a copy that the streams share
	recent   *list.Element
	sibling  *list.Element // in the list of the topic
	waiting  int           // the index in Streams.waiting, or -1
}

// Arrive records the arrival of a message, at the time now. The first message of a stream is
// its base: what was published before was not missed. template is the template of the channel.
func (s *Streams) Arrive(key Key, template string, number int64, now time.Duration) Arrival {
	hashed := hashKey(key)
	st := s.find(hashed)
	if st == nil {
		if len(template) > maxTemplate {
			template = ""
		}
		s.add(&stream{window: newWindow(number), key: hashed, template: unique.Make(template), waiting: -1})
		return Arrival{}
	}
	gaps := len(st.gaps)
	arrival := st.arrive(number, now)
	if s.gaps += len(st.gaps) - gaps; s.gaps > MaxGaps {
		arrival.Lost = st.lose(1)
		s.gaps--
	}
	s.update(st)
	return arrival
}

// Expire returns what is lost at the time now because it has been missing for [Patience].
func (s *Streams) Expire(now time.Duration) (losses []Loss) {
	for i := len(s.waiting) - 1; i >= 0; i-- { // backwards, since update moves the last one to i
		st := s.waiting[i]
		gaps := len(st.gaps)
		if n := st.expire(now - Patience); n > 0 {
			losses = append(losses, Loss{st.template.Value(), n})
		}
		s.gaps += len(st.gaps) - gaps
		s.update(st)
	}
	return losses
}

// Forget forgets the streams of a channel or pattern. If the subscriber subscribes to it once
// more, what was published meanwhile was not missed.
func (s *Streams) Forget(name string, isPattern bool) {
	streams := s.byTopic[topic{maphash.String(seed, name), isPattern}]
	for streams != nil && streams.Len() > 0 {
		s.forget(streams.Front().Value.(*stream))
	}
}

// Waiting reports whether numbers are missing that are not lost yet.
func (s *Streams) Waiting() bool { return len(s.waiting) > 0 }

// Len returns the number of streams.
func (s *Streams) Len() int { return len(s.byKey) }

// find returns the stream with the given key, and moves it to the front of s.recent. Most
// messages are of the stream of the last one, which is found without the map.
func (s *Streams) find(key hashedKey) *stream {
	if front := s.recent.Front(); front != nil {
		if st := front.Value.(*stream); st.key == key {
			return st
		}
	}
	st := s.byKey[key]
	if st != nil {
		s.recent.MoveToFront(st.recent)
	}
	return st
}

func (s *Streams) add(st *stream) {
	if s.byKey == nil {
		s.byKey, s.byTopic = make(map[hashedKey]*stream), make(map[topic]*list.List)
	}
	if len(s.byKey) >= MaxStreams {
		s.forget(s.recent.Back().Value.(*stream))
	}
	st.recent = s.recent.PushFront(st)
	s.byKey[st.key] = st
	siblings := s.byTopic[st.key.topic()]
	if siblings == nil {
		siblings = list.New()
		s.byTopic[st.key.topic()] = siblings
	}
	st.sibling = siblings.PushBack(st)
}

// forget removes a stream. What is missing of it is not known to be lost.
func (s *Streams) forget(st *stream) {
	s.gaps -= len(st.gaps)
	s.recent.Remove(st.recent)
	delete(s.byKey, st.key)
	siblings := s.byTopic[st.key.topic()]
	siblings.Remove(st.sibling)
	if siblings.Len() == 0 {
		delete(s.byTopic, st.key.topic())
	}
	s.stopWaiting(st)
}

// update puts st where it belongs after a change.
func (s *Streams) update(st *stream) {
	switch {
	case len(st.gaps) == 0:
		s.stopWaiting(st)
	case st.waiting < 0:
		st.waiting = len(s.waiting)
		s.waiting = append(s.waiting, st)
	}
}

func (s *Streams) stopWaiting(st *stream) {
	if st.waiting < 0 {
		return
	}
	end := len(s.waiting) - 1
	last := s.waiting[end]
	s.waiting[st.waiting], last.waiting = last, st.waiting
	s.waiting[end] = nil
	s.waiting = s.waiting[:end]
	st.waiting = -1
}

// hashedKey stands for a Key. Publishers choose the names of channels, which may be long, and
// a stream must not keep them in memory. They do not know the seed, so they cannot choose two
// keys with the same hashes.
type hashedKey struct{ source, channel, pattern uint64 }

// topic is what the subscriber has subscribed to: a channel or a pattern.
type topic struct {
	name      uint64
	isPattern bool
}

var (
	seed  = maphash.MakeSeed()
	empty = maphash.String(seed, "")
)

func (k hashedKey) topic() topic {
	if k.pattern != empty {
		return topic{k.pattern, true}
	}
	return topic{k.channel, false}
}

func hashKey(k Key) hashedKey {
	hashed := hashedKey{maphash.String(seed, k.Source), maphash.String(seed, k.Channel), empty}
	if k.Pattern != "" {
		hashed.pattern = maphash.String(seed, k.Pattern)
	}
	return hashed
}
