// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// failover is the topology of a client that gets its master from Sentinels. When they choose
// another master, the client sends its commands there, but go-redis leaves subscriptions at
// the old one, which may go on to answer.
type failover struct {
	single
	client  *redis.Client
	dropped atomic.Uint64 // the number of connections that the pools had dropped at the last call of hint
	calls   calls
}

// sentinelAddr is the address in the options of such a client.
const sentinelAddr = "FailoverClient"

// sentinelLag is how much later than others a Sentinel may learn of another master. They tell each
// other every two seconds.
const sentinelLag = 2 * time.Second

var errNoMaster = errors.New("the client does not use a master")

// shared returns the client, with the master to which it connects now.
func (f *failover) shared(ctx context.Context) (endpoint, error) {
	id, err := f.master(ctx)
	if err != nil {
		id = "" // to connect may succeed all the same
	}
	return endpoint{f.client, id}, nil
}

func (f *failover) verify(ctx context.Context, uses []use) map[use]finding {
	id, err := f.master(ctx)
	if err != nil {
		return nil
	}
	verdicts := make(map[use]finding)
	for _, u := range uses {
		found := finding{right, sentinelLag}
		if u.id != id {
			found.verdict = wrong
		}
		verdicts[u] = found
	}
	return verdicts
}

// hint reports whether the client has dropped pooled connections. It does that when it learns of
// another master; ask sees to it that there is one.
func (f *failover) hint() bool {
	stats := f.client.PoolStats()
	dropped := uint64(stats.StaleConns)
	if stats.PipelineStats != nil {
		dropped += uint64(stats.PipelineStats.StaleConns)
	}
	return f.dropped.Swap(dropped) != dropped
}

// master returns what identifies the present master.
func (f *failover) master(ctx context.Context) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	return callOf(ctx, &f.calls, func() (string, error) { return f.ask(ctx) })
}

// ask connects to the master that a Sentinel names, and asks it for its run_id. If the user may
// not use INFO, the address of the master identifies it.
//
// It does so with a client of its own, since the pool of the user's may be exhausted.
func (f *failover) ask(ctx context.Context) (id string, err error) {
	var addr atomic.Value
	client := redis.NewClient(f.options(func(conn net.Conn) { addr.Store(conn.RemoteAddr().String()) }))
	defer func() { _ = client.Close() }()
	info, err := client.Info(ctx).Result()
	if isRefusal(err) {
		id, _ = addr.Load().(string)
		return id, nil
	}
	if err != nil {
		return "", err
	}
	if field(info, "role") != "master" {
		return "", errNoMaster
	}
	if f.client.PoolStats().TotalConns == 0 { // the client does nothing but subscribe
		_ = f.client.Ping(ctx).Err()
	}
	return field(info, "run_id"), nil
}

// options returns options like those of the client, for a client with one connection. dialed
// is called with it.
func (f *failover) options(dialed func(net.Conn)) *redis.Options {
	opt := *f.client.Options()
	opt.PoolSize, opt.MinIdleConns, opt.PipelinePoolSize = 1, 0, 0
	opt.MaxRetries, opt.DialerRetries = -1, 1
	opt.ClientSideCache, opt.ClientSideCacheConfig = nil, nil
	// Negative timeouts say that the connections have no deadlines. NewClient expects -2 for that.
	for _, timeout := range []*time.Duration{&opt.ReadTimeout, &opt.WriteTimeout} {
		if *timeout >= 0 {
			*timeout = verifyTimeout
		} else {
			*timeout = -2
		}
	}
	dial := opt.Dialer
	opt.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		f.calls.running.Add(1) // go-redis does not wait for it longer than for ctx
		defer f.calls.running.Add(-1)
		conn, err := dial(ctx, network, addr)
		if err == nil {
			dialed(conn)
		}
		return conn, err
	}
	return &opt
}

// field returns a field of the reply to INFO or CLUSTER INFO.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
