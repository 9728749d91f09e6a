// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// assertSameCommands asserts that two clients have made the same of the same commands:
// arguments, replies, errors, and what is printed of them.
func assertSameCommands(t *testing.T, got, want []redis.Cmder) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d commands, want %d", len(got), len(want))
	}
	for i := range want {
		if g, w := describe(got[i]), describe(want[i]); g != w {
			t.Errorf("command %d is\n%s, want\n%s", i, g, w)
		}
		if g, w := fmt.Sprintf("%#v", got[i].Args()), fmt.Sprintf("%#v", want[i].Args()); g != w { // a NaN equals no other
			t.Errorf("command %d has the arguments %s, want %s", i, g, w)
		}
	}
}

func describe(cmd redis.Cmder) string {
	value := "none"
	if result := reflect.ValueOf(cmd).MethodByName("Val"); result.IsValid() && result.Type().NumIn() == 0 {
		value = fmt.Sprintf("%#v", result.Call(nil)[0])
	}
	return fmt.Sprintf("%T %s (%s) %q value %s error %T %v", cmd, cmd.FullName(), cmd.Name(), cmd.String(), value, cmd.Err(), cmd.Err())
}

// everyCommand runs one command after the other, failing ones among them, and returns them.
func everyCommand(ctx context.Context, rdb commanderOfAll) (cmds []redis.Cmder) {
	add := func(cmd redis.Cmder) { cmds = append(cmds, cmd) }
	_, automatic := rdb.(*redis.AutoPipeliner)
	for _, row := range payloadTypes {
		if row.payload == (*time.Time)(nil) && automatic {
			continue // go-redis panics at it, contains that, and prints the stack
		}
		add(rdb.Publish(ctx, "reports", row.payload))
		add(rdb.Do(ctx, "publish", "reports", row.payload))
	}
	for _, row := range foreignMessages {
		add(rdb.Publish(ctx, "reports", row.message))
	}
	add(rdb.SPublish(ctx, "reports", "hello"))
	add(rdb.Do(ctx, "SPublish", []byte("reports"), []byte("hello")))
	add(rdb.Publish(ctx, "forbidden", "hello"))
	add(rdb.Do(ctx, "PUBLISH", "forbidden", "hello"))
	add(rdb.Do(ctx, "PUBLISH", "reports"))
	add(rdb.Do(ctx, "PUBLISH", "reports", "hello", "hello"))
	add(rdb.Do(ctx, "PUBLISH", 7, 8))
	for _, cmd := range []redis.Cmder{
		redis.NewRawCmd(ctx, "publish", "reports", "hello"),
		redis.NewRawCmd(ctx, "publish", "forbidden", "hello"),
		redis.NewStringCmd(ctx, "publish", "reports", "hello"),
		redis.NewBoolCmd(ctx, "publish", "reports", "hello"),
		redis.NewStatusCmd(ctx, "publish", "forbidden", "hello"),
		redis.NewSliceCmd(ctx, "publish", "reports", "hello"),
	} {
		_ = rdb.Process(ctx, cmd)
		add(cmd)
	}
	add(rdb.PubSubNumSub(ctx, "reports"))
	add(rdb.PubSubChannels(ctx, "*"))
	add(rdb.Set(ctx, "key", "value", time.Minute))
	add(rdb.Get(ctx, "key"))
	add(rdb.Get(ctx, "no such key"))
	add(rdb.Incr(ctx, "key"))
	add(rdb.HSet(ctx, "hash", "field", 1))
	add(rdb.HGetAll(ctx, "hash"))
	add(rdb.LPush(ctx, "list", 1, 2, 3))
	add(rdb.LRange(ctx, "list", 0, -1))
	add(rdb.Eval(ctx, `return redis.call("PUBLISH", KEYS[1], ARGV[1])`, []string{"reports"}, "hello"))
	add(rdb.Do(ctx, "no such command"))
	add(rdb.Del(ctx, "key", "hash", "list"))
	return cmds
}

// commanderOfAll is what runs every command.
type commanderOfAll interface {
	redis.Cmdable
	Do(ctx context.Context, args ...any) *redis.Cmd
	Process(ctx context.Context, cmd redis.Cmder) error
}

// limitedServer has a user who may not publish on the channel "forbidden".
func limitedServer(t *testing.T) *redistest.Server {
	t.Helper()
	server := redistest.Start(t)
	err := server.Client().ACLSetUser(testContext(t), "limited", "on", ">secret", "~*", "+@all", "resetchannels", "&reports", "&allowed", "&7").Err()
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// Under the hook go-redis is as it was: every reply, every error, every command.
func TestHookChangesNothingElse(t *testing.T) {
	rows := []struct {
		name, reason string
		run          func(t *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder
	}{{
		name:   "one by one",
		reason: "the usual case",
		run: func(_ *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder {
			return everyCommand(ctx, rdb)
		},
	}, {
		name:   "connection",
		reason: "it has the hooks of its client",
		run: func(_ *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder {
			conn := rdb.Conn()
			defer func() { _ = conn.Close() }()
			return everyCommand(ctx, conn)
		},
	}, {
		name:   "pipeline",
		reason: "a command that fails does not take the others with it",
		run: func(_ *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder {
			pipe := rdb.Pipeline()
			everyCommand(ctx, pipe)
			return execute(ctx, pipe)
		},
	}, {
		name:   "aborted transaction",
		reason: "commands that fail take the others with them",
		run: func(_ *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder {
			pipe := rdb.TxPipeline()
			everyCommand(ctx, pipe)
			return execute(ctx, pipe)
		},
	}, {
		name:   "transaction",
		reason: "the replies are within that of EXEC",
		run: func(_ *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder {
			pipe := rdb.TxPipeline()
			pipe.Publish(ctx, "reports", "hello")
			pipe.Incr(ctx, "counter")
			pipe.Do(ctx, "SPUBLISH", "reports", 7)
			return execute(ctx, pipe)
		},
	}, {
		name:   "payload that is refused",
		reason: "go-redis stops there",
		run: func(_ *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder {
			pipe := rdb.Pipeline()
			pipe.Publish(ctx, "reports", "hello")
			pipe.Publish(ctx, "reports", report{7})
			pipe.Ping(ctx)
			return append(execute(ctx, pipe), rdb.Publish(ctx, "reports", report{7}), rdb.Do(ctx, "publish", "reports", report{7}))
		},
	}, {
		name:   "context that has ended",
		reason: "nothing is sent",
		run: func(_ *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			pipe := rdb.Pipeline()
			pipe.Publish(ctx, "reports", "hello")
			return append(execute(ctx, pipe), rdb.Publish(ctx, "reports", "hello"), rdb.Do(ctx, "publish", "reports", "hello"))
		},
	}, {
		name:   "auto-pipeline",
		reason: "it waits for its batch",
		run: func(t *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder {
			ap, err := rdb.AutoPipeline()
			if err != nil {
				t.Fatal(err)
			}
			return everyCommand(ctx, ap)
		},
	}, {
		name:   "asynchronous auto-pipeline",
		reason: "commands are queued",
		run: func(t *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder {
			ap, err := rdb.AsyncAutoPipeline()
			if err != nil {
				t.Fatal(err)
			}
			return everyCommand(ctx, ap)
		},
	}, {
		name:   "full-duplex auto-pipeline",
		reason: "a hook watches, and no more",
		run: func(t *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder {
			ap, err := rdb.AsyncAutoPipelineWithOptions(&redis.AutoPipelineOptions{FullDuplex: true})
			if err != nil {
				t.Fatal(err)
			}
			return everyCommand(ctx, ap)
		},
	}, {
		name:   "closed client",
		reason: "no command gets anywhere",
		run: func(t *testing.T, ctx context.Context, rdb *redis.Client) []redis.Cmder {
			pipe := rdb.Pipeline()
			pipe.Publish(ctx, "reports", "hello")
			if err := rdb.Close(); err != nil {
				t.Fatal(err)
			}
			return append(execute(ctx, pipe), rdb.Publish(ctx, "reports", "hello"))
		},
	}}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			ctx, server := testContext(t), limitedServer(t)
			options := &redis.Options{Addr: server.Addr(), Username: "limited", Password: "secret", MaxRetries: -1}
			hooked, bare := redis.NewClient(options), redis.NewClient(options)
			t.Cleanup(func() { _, _ = hooked.Close(), bare.Close() })
			var told errorLog
			instrument(t, hooked, newRecorder(t), told.option())

			want := row.run(t, ctx, bare)
			server.Client().FlushAll(ctx)
			assertSameCommands(t, row.run(t, ctx, hooked), want)
			if len(want) == 0 {
				t.Errorf("no commands: %s", row.reason)
			}
		})
	}
}

// execute executes a pipeline, and adds a command that has its error.
func execute(ctx context.Context, pipe redis.Pipeliner) []redis.Cmder {
	cmds, err := pipe.Exec(ctx)
	executed := redis.NewCmd(ctx, "result of Exec")
	executed.SetErr(err)
	return append(cmds, executed)
}
