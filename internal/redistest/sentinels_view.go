// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// answering returns the sentinels that run and are not paused.
func (s *Sentinels) answering() []*sentinel {
	s.t.Helper()
	var all []*sentinel
	for _, one := range s.sentinels {
		if one.running() && !one.paused {
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		s.t.Fatal("no sentinel runs")
	}
	return all
}

// reachable returns the servers that the sentinels reach.
func (s *Sentinels) reachable() []*member {
	var all []*member
	for _, m := range s.members {
		if m.running() && !m.paused && !m.cutOff {
			all = append(all, m)
		}
	}
	return all
}

// agreed returns the master of which the sentinels tell their clients now, or an error if they
// do not agree.
func (s *Sentinels) agreed(ctx context.Context) (*member, error) {
	var addr string
	for i, one := range s.answering() {
		got, err := one.admin.GetMasterAddrByName(ctx, masterName).Result()
		if err != nil {
			return nil, fmt.Errorf("sentinel at %s: %w", one.Addr(), err)
		}
		switch told := net.JoinHostPort(got[0], got[1]); {
		case i == 0:
			addr = told
		case told != addr:
			return nil, fmt.Errorf("one sentinel says that the master is at %s, another one that it is at %s", addr, told)
		}
	}
	for _, m := range s.members {
		if m.proxy.Addr() == addr {
			return m, nil
		}
	}
	return nil, fmt.Errorf("the master at %s is none of the servers", addr)
}

// Master returns the server that is the master for all sentinels that run and are not paused.
// It waits until they agree.
func (s *Sentinels) Master() *Server {
	s.t.Helper()
	var master *member
	waitFor(s.t, "agreement of the sentinels", func(ctx context.Context) (err error) {
		master, err = s.agreed(ctx)
		return err
	})
	return master.Server
}

// Replicas returns the servers that are not the master, whether they run or not.
func (s *Sentinels) Replicas() []*Server {
	s.t.Helper()
	master := s.Master()
	return slices.DeleteFunc(s.Servers(), func(server *Server) bool { return server == master })
}

// WaitUntilHealthy returns when all sentinels that run and are not paused see the same: each
// other, a master that is up, and all other servers as replicas that have caught up with it. It
// leaves out the servers that are down, paused or cut off. Meanwhile the sentinels work faster
// than usual, so that a master that was deposed soon becomes a replica.
func (s *Sentinels) WaitUntilHealthy() {
	s.t.Helper()
	s.setPeriods(200*time.Millisecond, 200*time.Millisecond)
	defer s.setPeriods(10*time.Second, 2*time.Second)
	waitFor(s.t, "sentinels", func(ctx context.Context) error {
		master, err := s.agreed(ctx)
		if err != nil {
			return err
		}
		for _, one := range s.answering() {
			if err := s.ailment(ctx, one, master); err != nil {
				return fmt.Errorf("sentinel at %s: %w", one.Addr(), err)
			}
		}
		return nil
	})
}

// pingPeriod is how often the sentinels send a PING, and connect again. With the default of a
// second, a server counts as down when a promotion has ended the connections to it.
const pingPeriod = 200 * time.Millisecond

// setPeriods sets how often the sentinels ask the servers for their state, and how often they
// talk to each other. A server has to have the wrong role for four of the latter periods before
// a sentinel changes it.
func (s *Sentinels) setPeriods(info, hello time.Duration) {
	s.t.Helper()
	for _, one := range s.answering() {
		command := redis.NewStatusCmd(context.Background(), "sentinel", "debug",
			"info-period", info.Milliseconds(), "publish-period", hello.Milliseconds(),
			"ping-period", pingPeriod.Milliseconds())
		if err := one.admin.Process(context.Background(), command); err != nil {
			s.t.Fatalf("sentinel at %s: %v", one.Addr(), err)
		}
	}
}

// ailment returns an error that says what is wrong in the view of a sentinel, or nil.
func (s *Sentinels) ailment(ctx context.Context, one *sentinel, master *member) error {
	seen, err := one.admin.Master(ctx, masterName).Result()
	if err != nil {
		return err
	}
	if others := strconv.Itoa(len(s.sentinels) - 1); seen["flags"] != "master" || seen["num-other-sentinels"] != others {
		return fmt.Errorf("the master is %s, and it knows %s other sentinels of %s", seen["flags"], seen["num-other-sentinels"], others)
	}
	if err := one.admin.CkQuorum(ctx, masterName).Err(); err != nil {
		return err
	}
	seenReplicas, err := one.admin.Replicas(ctx, masterName).Result()
	if err != nil {
		return err
	}
	for _, m := range s.reachable() {
		if m == master {
			continue
		}
		i := slices.IndexFunc(seenReplicas, func(r map[string]string) bool { return net.JoinHostPort(r["ip"], r["port"]) == m.proxy.Addr() })
		if i < 0 {
			return fmt.Errorf("it does not know the replica at %s", m.Addr())
		}
		if r := seenReplicas[i]; r["flags"] != "slave" || r["master-link-status"] != "ok" ||
			net.JoinHostPort(r["master-host"], r["master-port"]) != master.proxy.Addr() {
			return fmt.Errorf("the replica at %s is %s, of the master at %s:%s (%s)", m.Addr(), r["flags"], r["master-host"], r["master-port"], r["master-link-status"])
		}
	}
	return nil
}

// WaitUntilMasterIsNot returns when all sentinels that run and are not paused agree on another
// master than the one given, and returns that other one. The one given may not know of it yet.
func (s *Sentinels) WaitUntilMasterIsNot(deposed *Server) *Server {
	s.t.Helper()
	var master *member
	waitFor(s.t, "another master", func(ctx context.Context) (err error) {
		if master, err = s.agreed(ctx); err == nil && master.Server == deposed {
			err = errors.New("it is the same one")
		}
		return err
	})
	return master.Server
}

// WaitUntilContested returns as soon as one of the sentinels tells its clients of another master
// than the one given. From then on, a correct publisher may be at one or the other, until
// [Sentinels.WaitUntilMasterIsNot] returns.
func (s *Sentinels) WaitUntilContested(master *Server) {
	s.t.Helper()
	known := s.member(master).proxy.Addr()
	waitFor(s.t, "a sentinel that knows another master", func(ctx context.Context) error {
		for _, one := range s.answering() {
			got, err := one.admin.GetMasterAddrByName(ctx, masterName).Result()
			if err != nil {
				return err
			}
			if net.JoinHostPort(got[0], got[1]) != known {
				return nil
			}
		}
		return errors.New("the master is the same one for all of them")
	})
}
