// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import (
	"context"
	"slices"
	"time"
)

// settle gives the wishes of f that are not asked for to the feeds of their
// owners. For the others, a cluster tells when they get another owner, as a rule.
// A Ring does not: there all wishes are looked at when other servers are up than
// before, and now and then, for a name may be added just as the Ring changes.
func (s *shard) settle(ctx context.Context, f *feed) {
	all, since := s.unsure()
	s.settled = time.Now() // nothing is known of what happens from here on
	owner := s.owners(ctx)
	moves := make(map[*feed]*[kinds][]string)
	for to := range kinds {
		names := f.unsettled(to, all)
		if s.ring != nil && to == toPatterns {
			s.settlePatterns(f, names, since)
			continue
		}
		for _, name := range names {
			client, err := owner(name)
			if err != nil {
				s.unknown(err)
				break
			}
			if client == s.client {
				continue
			}
			g := s.feedOf(client, nil)
			if moves[g] == nil {
				moves[g] = new([kinds][]string)
			}
			moves[g][to] = append(moves[g][to], name)
		}
	}
	for g, names := range moves {
		f.move(g, names, since)
	}
}

// unsure says whether names may be owned by another server although nobody said
// so, and since when.
func (s *shard) unsure() (all bool, since time.Time) {
	if s.settled.IsZero() {
		s.settled, s.looked = time.Now(), time.Now()
	}
	if s.ring == nil {
		return s.doubted.Swap(false), s.settled
	}
	// The one changes before the Ring goes by it, the other does not tell a server
	// from another one.
	up, n := s.ring.GetShardClients(), s.ring.Len()
	switch {
	case !slices.Equal(s.up, up) || s.n != n:
		since = s.settled
	case time.Since(s.looked) >= memberInterval:
		since = s.looked
	default:
		return false, s.settled
	}
	s.up, s.n, s.looked = up, n, time.Now()
	return true, since
}

// unsettled returns the names that are not asked for, or all.
func (f *feed) unsettled(to kind, all bool) []string {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	var names []string
	for name, w := range f.wishes[to] {
		if all || w.asked == nil {
			names = append(names, name)
		}
	}
	return names
}

// settlePatterns sees to it that patterns of f are wanted on all servers of the
// Ring that are up, and on no others.
func (s *shard) settlePatterns(f *feed, patterns []string, since time.Time) {
	clients := s.ring.GetShardClients()
	if len(patterns) == 0 || len(clients) == 0 {
		return
	}
	for _, client := range clients {
		if g := s.feedOf(client, nil); g != f {
			f.share(g, patterns, since)
		}
	}
	if !slices.Contains(clients, s.client) {
		f.giveUp(patterns)
	}
}

// share makes patterns that f wants be wanted on g, too: it may have had
// messages for them since a time.
func (f *feed) share(g *feed, patterns []string, since time.Time) {
	f.status.mu.Lock()
	shared := false
	for _, pattern := range patterns {
		w := f.wishes[toPatterns][pattern]
		if w == nil || g.wishes[toPatterns][pattern] != nil || g.retired {
			continue
		}
		deaf := &trouble{op: subscribeOps[toPatterns], err: errMoved, since: since}
		if f.shard.client == nil && w.deaf != nil {
			deaf = w.deaf
		}
		g.setWish(toPatterns, pattern, &wish{deaf: deaf})
		f.status.missing++
		shared = true
	}
	if shared {
		f.status.moves++
	}
	f.status.mu.Unlock()
	if shared {
		g.askOpenly()
	}
}

// giveUp removes patterns from f, whose server is none of the Ring any more. For
// how long they were not heard there, is known now.
func (f *feed) giveUp(patterns []string) {
	f.status.mu.Lock()
	outages := make(map[*trouble][]string)
	for _, pattern := range patterns {
		if w := f.wishes[toPatterns][pattern]; w != nil && w.deaf != nil && w.deaf.op != "" && f.shard.client != nil {
			outages[w.deaf] = append(outages[w.deaf], pattern)
		}
	}
	f.status.mu.Unlock()
	_, _ = f.remove(toPatterns, patterns)
	for t, names := range outages {
		f.pubsub.errors.recovered(*t, names)
	}
}

// move hands wishes over to g; those that were heard are not since a time.
func (f *feed) move(g *feed, names *[kinds][]string, since time.Time) {
	f.writing.Lock()
	conn, leave := f.handOver(g, names, since)
	if conn != nil {
		for to, names := range leave {
			_ = f.ask(conn, unsubscribeOps[to], kind(to), names)
		}
	}
	f.writing.Unlock()
	g.askOpenly()
}

// handOver returns what is to be unsubscribed from, and where. f.writing is held.
func (f *feed) handOver(g *feed, names *[kinds][]string, since time.Time) (conn *connection, leave [kinds][]string) {
	f.status.mu.Lock()
	defer f.status.mu.Unlock()
	if g.retired {
		return nil, leave // the next time
	}
	for to, names := range names {
		for _, name := range names {
			w := f.wishes[to][name]
			if w == nil {
				continue
			}
			delete(f.wishes[to], name)
			if w.asked != nil {
				leave[to] = append(leave[to], name)
			}
			if w.deaf == nil {
				w.deaf = &trouble{op: unsubscribeOps[to], err: errMoved, since: since}
				f.status.missing++
				f.pubsub.countError(errMoved)
			}
			if g.wishes[to][name] != nil { // two have added it at a time
				f.status.missing--
				continue
			}
			w.asked = nil
			g.setWish(kind(to), name, w)
		}
	}
	f.status.moves++
	f.status.change()
	return f.conn, leave
}

// askOpenly asks for what is not asked for, if there is a connection.
func (f *feed) askOpenly() {
	f.writing.Lock()
	defer f.writing.Unlock()
	f.status.mu.Lock()
	conn := f.conn
	f.status.mu.Unlock()
	if conn != nil {
		f.askAgain(conn)
	}
}
