// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"strings"
	"sync"
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

	mu      sync.Mutex
	pending chan struct{} // closed when the present call of ask has returned; nil: there is none
	id      string        // of the last one
	err     error
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

// hint reports whether the client has dropped connections. It does that when it learns of
// another master.
func (f *failover) hint() bool {
	stats := f.client.PoolStats()
	dropped := uint64(stats.StaleConns)
	if stats.PipelineStats != nil {
		dropped += uint64(stats.PipelineStats.StaleConns)
	}
	return f.dropped.Swap(dropped) != dropped
}

// master returns what identifies the present master. Only one goroutine asks at a time, and
// master does not wait longer than for ctx, since a Dialer may hang.
func (f *failover) master(ctx context.Context) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	f.mu.Lock()
	pending := f.pending
	if pending == nil {
		pending = make(chan struct{})
		f.pending = pending
		go func() {
			id, err := f.ask(context.WithoutCancel(ctx))
			f.mu.Lock()
			defer f.mu.Unlock()
			f.id, f.err, f.pending = id, err, nil
			close(pending)
		}()
	}
	f.mu.Unlock()
	select {
	case <-pending:
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.id, f.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// ask asks a Sentinel for the master, and the master for its run_id. The Dialer of the client
// does the first: it connects to the master that a Sentinel names, and drops the pooled
// connections to any other. If the user may not use INFO, the address of the master identifies
// it.
func (f *failover) ask(ctx context.Context) (id string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError("the Dialer", v)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	opt := f.client.Options()
	conn, err := opt.Dialer(ctx, opt.Network, opt.Addr)
	if err != nil {
		return "", err
	}
	addr := conn.RemoteAddr().String()
	_ = conn.Close()
	info, err := f.client.Info(ctx).Result()
	if isRefusal(err) {
		return addr, nil
	}
	if err != nil {
		return "", err
	}
	if field(info, "role") != "master" {
		return "", errNoMaster
	}
	return field(info, "run_id"), nil
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
