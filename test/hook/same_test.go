// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// assertSameCommands asserts that the commands of two clients have the same arguments,
// replies, errors and texts.
func assertSameCommands(t *testing.T, got, want []redis.Cmder) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d commands, want %d", len(got), len(want))
	}
	for i := range want {
		if g, w := describe(got[i]), describe(want[i]); g != w {
			t.Errorf("command %d is\n%s, want\n%s", i, g, w)
		}
		if g, w := arguments(got[i]), arguments(want[i]); g != w {
			t.Errorf("command %d has the arguments %s, want %s", i, g, w)
		}
	}
}

// assertSamePipeline runs a pipeline with rdb, which has a hook, and with a client that
// has none, and asserts that commands and errors are the same. Unless behind is nil, both
// clients get that hook as well.
func assertSamePipeline(t *testing.T, ctx context.Context, rdb *redis.Client, behind redis.Hook, fill func(context.Context, redis.Pipeliner)) {
	t.Helper()
	plain := tracetest.NoRetryClient(t, &redis.Options{Addr: rdb.Options().Addr, Username: "limited", Password: "secret"})
	if behind != nil {
		rdb.AddHook(behind)
		plain.AddHook(behind)
	}
	run := func(pipe redis.Pipeliner) error { fill(ctx, pipe); return nil }
	got, gotErr := rdb.Pipelined(ctx, run)
	want, wantErr := plain.Pipelined(ctx, run)
	assertSameCommands(t, got, want)
	tracetest.AssertSameError(t, gotErr, wantErr)
}

// arguments returns a text of the arguments, as a NaN does not equal another one.
func arguments(cmd redis.Cmder) string {
	var b strings.Builder
	for _, arg := range cmd.Args() {
		fmt.Fprintf(&b, "%T %v, ", arg, arg)
	}
	return b.String()
}

// describe returns a text of everything that a command has but its arguments.
func describe(cmd redis.Cmder) string {
	value := "none"
	if result := reflect.ValueOf(cmd).MethodByName("Val"); result.IsValid() && result.Type().NumIn() == 0 {
		value = fmt.Sprintf("%#v", result.Call(nil)[0])
	}
	return fmt.Sprintf("%T %s (%s) %s value %s error %T %v", cmd, cmd.FullName(), cmd.Name(), cmd.String(), value, cmd.Err(), cmd.Err())
}

// everyCommand runs one command after the other and returns them. Some of them fail.
func everyCommand(ctx context.Context, rdb commanderOfAll) (cmds []redis.Cmder) {
	add := func(cmd redis.Cmder) { cmds = append(cmds, cmd) }
	_, automatic := rdb.(*redis.AutoPipeliner)
	for _, row := range tracetest.PayloadTypes {
		if row.Payload == (*time.Time)(nil) && automatic {
			continue // go-redis panics on it, recovers, and prints the stack
		}
		add(rdb.Publish(ctx, "reports", row.Payload))
		add(rdb.Do(ctx, "publish", "reports", row.Payload))
	}
	for _, row := range tracetest.ForeignMessages {
		add(rdb.Publish(ctx, "reports", row.Message))
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
		redis.NewUintCmd(ctx, "publish", "reports", "hello"),
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

// commanderOfAll runs every command.
type commanderOfAll interface {
	redis.Cmdable
	Do(ctx context.Context, args ...any) *redis.Cmd
	Process(ctx context.Context, cmd redis.Cmder) error
}

// comparedUses are the uses of a client that are compared.
var comparedUses = []struct {
	name, reason string
	run          func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder
	breaks       bool // the connection breaks at the first message
	fullDuplex   bool // go-redis has it from v9.23 on
}{{
	name:   "one by one",
	reason: "the usual case",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		return everyCommand(ctx, rdb)
	},
}, {
	name:   "Watch",
	reason: "it has the hooks of its client, or of a node",
	run: func(ctx context.Context, rdb redis.UniversalClient) (cmds []redis.Cmder) {
		err := rdb.Watch(ctx, func(tx *redis.Tx) error {
			cmds = everyCommand(ctx, tx)
			pipe := tx.TxPipeline()
			pipe.SPublish(ctx, "reports", "hello")
			pipe.Incr(ctx, "{reports}counter")
			cmds = append(cmds, execute(ctx, rdb, pipe)...)
			return nil
		}, "reports")
		return append(cmds, outcome(ctx, "Watch", err))
	},
}, {
	name:   "pipeline",
	reason: "the others are executed if a command fails",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		pipe := rdb.Pipeline()
		everyCommand(ctx, pipe)
		return execute(ctx, rdb, pipe)
	},
}, {
	name:   "aborted transaction",
	reason: "no command is executed if one fails",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		pipe := rdb.TxPipeline()
		everyCommand(ctx, pipe)
		return execute(ctx, rdb, pipe)
	},
}, {
	name:   "transaction",
	reason: "the replies are within that of EXEC",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		pipe := rdb.TxPipeline()
		pipe.Publish(ctx, "reports", "hello")
		pipe.Incr(ctx, "{reports}counter")
		pipe.Do(ctx, "SPUBLISH", "reports", 7)
		return execute(ctx, rdb, pipe)
	},
}, {
	name:   "payload that is refused",
	reason: "go-redis stops there",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		pipe := rdb.Pipeline()
		pipe.Publish(ctx, "reports", "hello")
		pipe.Publish(ctx, "reports", tracetest.Unsupported{ID: 7})
		pipe.Ping(ctx)
		return append(execute(ctx, rdb, pipe), rdb.Publish(ctx, "reports", tracetest.Unsupported{ID: 7}), rdb.Do(ctx, "publish", "reports", tracetest.Unsupported{ID: 7}))
	},
}, {
	name:   "canceled context",
	reason: "nothing is sent",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		pipe := rdb.Pipeline()
		pipe.Publish(ctx, "reports", "hello")
		return append(execute(ctx, rdb, pipe), rdb.Publish(ctx, "reports", "hello"), rdb.Do(ctx, "publish", "reports", "hello"))
	},
}, {
	name:   "auto-pipeline",
	reason: "it waits for its batch",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		return automatically(ctx, rdb.AutoPipeline)
	},
}, {
	name:   "asynchronous auto-pipeline",
	reason: "commands are queued",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		return automatically(ctx, rdb.AsyncAutoPipeline)
	},
}, {
	name:   "full-duplex auto-pipeline",
	reason: "the hook only watches",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		return automatically(ctx, func() (*redis.AutoPipeliner, error) {
			return rdb.AsyncAutoPipelineWithOptions(tracetest.FullDuplexOptions())
		})
	},
	fullDuplex: true,
}, {
	name:   "closed client",
	reason: "no command is sent",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		pipe := rdb.Pipeline()
		pipe.Publish(ctx, "reports", "hello")
		closed := outcome(ctx, "Close", rdb.Close())
		return append(execute(ctx, rdb, pipe), closed, rdb.Publish(ctx, "reports", "hello"), rdb.Do(ctx, "spublish", "reports", "hello"))
	},
}, {
	name:   "lost connection",
	reason: "go-redis may send it again",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		return []redis.Cmder{rdb.SPublish(ctx, "reports", "hello"), rdb.Do(ctx, "spublish", "reports", "hello")}
	},
	breaks: true,
}, {
	name:   "lost connection of a pipeline",
	reason: "go-redis sends all of it again, or nothing",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		pipe := rdb.Pipeline()
		pipe.SPublish(ctx, "reports", "hello")
		pipe.Incr(ctx, "{reports}counter")
		return execute(ctx, rdb, pipe)
	},
	breaks: true,
}, {
	name:   "lost connection of a transaction",
	reason: "likewise, and MULTI may keep the error",
	run: func(ctx context.Context, rdb redis.UniversalClient) []redis.Cmder {
		pipe := rdb.TxPipeline()
		pipe.SPublish(ctx, "reports", "hello")
		pipe.Incr(ctx, "{reports}counter")
		return execute(ctx, rdb, pipe)
	},
	breaks: true,
}}

// execute executes a pipeline, and returns its commands and its error.
func execute(ctx context.Context, rdb redis.UniversalClient, pipe redis.Pipeliner) []redis.Cmder {
	cmds, err := pipe.Exec(ctx)
	if _, ring := rdb.(*redis.Ring); ring && err != nil {
		err = errors.New("error of the shard that failed first") // it may be any of them
	}
	return append(cmds, outcome(ctx, "Exec", err))
}

// automatically runs every command on an auto-pipeline, and waits for the last.
func automatically(ctx context.Context, open func() (*redis.AutoPipeliner, error)) []redis.Cmder {
	ap, err := open()
	if err != nil {
		return []redis.Cmder{outcome(ctx, "AutoPipeline", err)}
	}
	cmds := everyCommand(ctx, ap)
	return append(cmds, outcome(ctx, "Close", ap.Close()))
}

// outcome returns a command with err, to be compared like others.
func outcome(ctx context.Context, of string, err error) redis.Cmder {
	cmd := redis.NewCmd(ctx, of)
	cmd.SetErr(err)
	return cmd
}
