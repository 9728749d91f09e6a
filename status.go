// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// status is how the feeds of a subscription stand. Its mutex guards what they
// want as well, for a name may go from one of them to another.
type status struct {
	mu      sync.Mutex
	feeds   []*feed
	started bool
	closed  bool
	missing int           // wishes that are not confirmed
	moves   int           // times that a feed was given wishes of another
	changed chan struct{} // closed, and replaced, when there is something to see

	waiting int   // calls of ready that wait
	failed  int   // attempts that failed
	failure error // of the last of them
}

// change wakes those who wait for a change. s.mu is held.
func (s *status) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// ready waits until all wishes are confirmed, or an attempt fails. It calls start
// before it waits.
func (s *status) ready(ctx context.Context, start func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failed := s.unheard(); failed != nil && !s.closed {
		s.mu.Unlock()
		start() // which tries again
		s.mu.Lock()
		return failed
	}
	s.waiting++
	defer func() { s.waiting-- }()
	for before := s.failed; ; {
		switch {
		case s.closed:
			return errClosed
		case s.missing == 0:
			return nil
		case s.failed > before:
			return s.failure
		}
		changed := s.changed
		s.mu.Unlock()
		start()
		select {
		case <-changed:
		case <-ctx.Done():
			s.mu.Lock()
			return ctx.Err()
		}
		s.mu.Lock()
	}
}

// unheard returns the error of an attempt before anybody read, once. s.mu is
// held.
func (s *status) unheard() error {
	for _, f := range s.feeds {
		if t := f.initial; t != nil {
			f.initial = nil
			return t.report(f.all())
		}
	}
	return nil
}

// fail tells those who wait in ready, and says whether there are any.
func (s *status) fail(t trouble, names []string) (heard bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == 0 {
		return false
	}
	s.failed++
	s.failure = t.report(names)
	s.change()
	return true
}

// moved is how many moves there have been.
func (s *status) moved() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moves
}

// feeds returns the feeds of the subscription.
func (p *PubSub) feeds() []*feed {
	p.status.mu.Lock()
	defer p.status.mu.Unlock()
	return slices.Clone(p.status.feeds)
}

// wanted returns the names of a kind, sorted.
func (p *PubSub) wanted(to kind) []string {
	p.status.mu.Lock()
	defer p.status.mu.Unlock()
	var names []string
	for _, f := range p.status.feeds {
		names = slices.AppendSeq(names, maps.Keys(f.wishes[to]))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// wants says whether a name is wanted.
func (p *PubSub) wants(to kind, name string) bool {
	p.status.mu.Lock()
	defer p.status.mu.Unlock()
	return slices.ContainsFunc(p.status.feeds, func(f *feed) bool { return f.wishes[to][name] != nil })
}

// read begins to read.
func (p *PubSub) read() {
	if p.reading.Load() {
		return
	}
	p.status.mu.Lock()
	defer p.status.mu.Unlock()
	if p.status.started {
		return
	}
	p.status.started = true
	for _, f := range p.status.feeds {
		f.start()
	}
	p.reading.Store(true)
}

// closeWait is how long Close waits for the goroutines that read. They end within
// it, unless go-redis is dialing or shaking hands, or an error handler that is
// called on one of them takes its time, or is what calls Close.
const closeWait = 50 * time.Millisecond

// closeFeeds ends the feeds. p.done is closed already, and p.ctx has ended.
func (p *PubSub) closeFeeds() {
	p.status.mu.Lock()
	p.status.closed = true
	p.status.change()
	var goings []<-chan struct{}
	for _, f := range p.status.feeds {
		if f.running {
			goings = append(goings, f.stopped)
		}
		if f.conn != nil {
			f.conn.close(errClosed)
			goings = append(goings, f.conn.gone)
		}
	}
	p.status.mu.Unlock()
	patience := time.NewTimer(closeWait)
	defer patience.Stop()
	for _, gone := range goings {
		select {
		case <-gone:
		case <-patience.C:
			return
		}
	}
}
