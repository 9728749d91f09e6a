// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redisoteltest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// native keeps what go-redis tells whoever makes its own metrics; all else it ignores.
type native struct {
	redis.OTelRecorder // nil: what is not below is not told here
	mu                 sync.Mutex
	told               []string
}

func (n *native) tell(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, fmt.Sprintf(format, args...))
}

func (n *native) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	told := n.told
	n.told = nil
	return told
}

func (n *native) RecordOperationDuration(_ context.Context, _ time.Duration, cmd redis.Cmder, attempts int, err error, _ redis.ConnInfo, _ int) {
	n.tell("%s, attempts %d, error %v", cmd.Name(), attempts, err)
}

func (n *native) RecordPipelineOperationDuration(_ context.Context, _ time.Duration, name string, cmds, attempts int, err error, _ redis.ConnInfo, _ int) {
	n.tell("%s of %d, attempts %d, error %v", name, cmds, attempts, err)
}

func (n *native) RecordPubSubMessage(_ context.Context, _ redis.ConnInfo, direction, channel string, sharded bool) {
	n.tell("%s on %s, sharded %t", direction, channel, sharded)
}

func (n *native) RecordError(_ context.Context, errorType string, _ redis.ConnInfo, status string, internal bool, retries int) {
	n.tell("error %s %s, internal %t, retries %d", errorType, status, internal, retries)
}

func (n *native) RecordConnectionCreateTime(context.Context, time.Duration, redis.ConnInfo) {}
func (n *native) RecordConnectionRelaxedTimeout(context.Context, int, redis.ConnInfo, string, string) {
}
func (n *native) RecordConnectionHandoff(context.Context, redis.ConnInfo, string)         {}
func (n *native) RecordMaintenanceNotification(context.Context, redis.ConnInfo, string)   {}
func (n *native) RecordConnectionWaitTime(context.Context, time.Duration, redis.ConnInfo) {}
func (n *native) RecordConnectionClosed(context.Context, redis.ConnInfo, string, error)   {}

// go-redis counts and measures under the hook what it does without.
func TestBesideMetricsOfGoRedis(t *testing.T) {
	recorder := &native{}
	redis.SetOTelRecorder(recorder)
	t.Cleanup(func() { redis.SetOTelRecorder(nil) })
	server := redistest.Start(t)
	run := func(rdb *redis.Client) []string {
		ctx := context.Background()
		rdb.Ping(ctx)
		recorder.take()
		rdb.Publish(ctx, "reports", "hello")
		rdb.SPublish(ctx, "reports", "hello")
		rdb.Do(ctx, "PUBLISH", "reports")
		for _, pipelined := range []func(context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error){rdb.Pipelined, rdb.TxPipelined} {
			_, _ = pipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Publish(ctx, "reports", "hello")
				pipe.Set(ctx, "key", "value", 0)
				return nil
			})
		}
		return recorder.take()
	}
	want := run(server.Client())
	if len(want) < 5 {
		t.Fatalf("go-redis has told %q: is that all?", want)
	}
	rdb := server.Client()
	newTracing(t).hook(t, rdb)
	if got := run(rdb); !slices.Equal(got, want) {
		t.Errorf("go-redis tells\n%q, want\n%q", got, want)
	}
}
