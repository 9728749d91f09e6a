// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// The hook does not change a command, as the caller may read it while it is sent.
func TestHookDoesNotTouchCommands(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, reason string
		options      *redis.AutoPipelineOptions
	}{
		{"half-duplex", "batches are sent one by one", nil},
		{"full-duplex", "commands are sent before the hook sees them", nil},
		{"unordered", "batches are sent at the same time", &redis.AutoPipelineOptions{Unordered: true, MaxConcurrentBatches: 4}},
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				if row.name == "full-duplex" {
					row.options = tracetest.FullDuplex(t)
				}
				ctx := tracetest.Context(t)
				own := tracetest.OtherClient(t, rdb)
				var errs tracetest.ErrorLog
				tracetest.Instrument(t, own, tracetest.NewRecorder(t), errs.Option())
				ap, err := own.AsyncAutoPipelineWithOptions(row.options)
				if err != nil {
					t.Fatal(err)
				}
				var readers sync.WaitGroup
				var cmds []*redis.IntCmd
				for i := range 200 {
					cmd := ap.Publish(ctx, row.name, i)
					cmds = append(cmds, cmd)
					readers.Go(func() {
						if args := cmd.Args(); !reflect.DeepEqual(args, []any{"publish", row.name, i}) {
							t.Errorf("the arguments are %v: %s", args, row.reason)
						}
					})
				}
				readers.Wait()
				for i, cmd := range cmds {
					if got, want := cmd.String(), fmt.Sprintf("publish %s %d: 0", row.name, i); got != want {
						t.Errorf("the command is %q, want %q", got, want)
					}
				}
			})
		}
	})
}

// A full-duplex auto-pipeline sends a command before the hook sees it. The message has a
// span and no envelope, which is reported once.
func TestHookOnFullDuplex(t *testing.T) {
	faces := map[string]func(*redis.Client, *redis.AutoPipelineOptions) (*redis.AutoPipeliner, error){
		"blocking":     (*redis.Client).AutoPipelineWithOptions,
		"asynchronous": (*redis.Client).AsyncAutoPipelineWithOptions,
	}
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for name, face := range faces {
			t.Run(name, func(t *testing.T) {
				ctx, rec, meters := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
				own := tracetest.OtherClient(t, rdb)
				var errs tracetest.ErrorLog
				tracetest.Instrument(t, own, rec, errs.Option(), meters.Option())
				ap, err := face(own, tracetest.FullDuplex(t))
				if err != nil {
					t.Fatal(err)
				}
				raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, name))
				publishing, caller := tracetest.WithCaller(t, ctx)
				const n = 20
				for i := range n {
					cmd := ap.Publish(publishing, name, "hello")
					if got, err := cmd.Result(); got != 1 || err != nil {
						t.Errorf("the command has %d, %v, want 1", got, err)
					}
					if got := tracetest.NextRaw(t, raw).Payload; got != "hello" {
						t.Errorf("on the wire is %q, want hello", got)
					}
					span := rec.Spans(t, i+1)[i]
					tracetest.AssertChildOf(t, span, caller)
					tracetest.AssertAttributes(t, span, tracetest.MessagingOn(own, "publish", name)...)
				}
				reports := errs.All()
				if len(reports) != 1 || !strings.HasPrefix(reports[0].Error(), "tracedpubsub: ") || !strings.Contains(reports[0].Error(), "full-duplex") {
					t.Errorf("the error handler got %v, want once that full-duplex is the reason", reports)
				}

				// Commands that are not sent that way have an envelope.
				if err := ap.Do(publishing, "publish", name, "hello").Err(); err != nil {
					t.Fatal(err)
				}
				tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", rec.Spans(t, n+1)[n])
				pipe := ap.Pipeline()
				pipe.Publish(publishing, name, "hello")
				if _, err := pipe.Exec(publishing); err != nil {
					t.Fatal(err)
				}
				tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", rec.Spans(t, n+3)[n+1])
				meters.AssertMatch(t, rec.Ended())
			})
		}
	})
}

// A failure on a full-duplex auto-pipeline is on the command and on the span.
func TestHookOnFullDuplexThatFails(t *testing.T) {
	ctx, rec, meters := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
	rdb := limited(t)
	var errs tracetest.ErrorLog
	tracetest.Instrument(t, rdb, rec, errs.Option(), meters.Option())
	ap, err := rdb.AsyncAutoPipelineWithOptions(tracetest.FullDuplex(t))
	if err != nil {
		t.Fatal(err)
	}
	cmd := ap.Publish(ctx, "forbidden", "hello")
	if err := cmd.Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
		t.Errorf("the command has %v, want NOPERM", err)
	}
	tracetest.AssertFailed(t, rec.Spans(t, 1)[0], "NOPERM")
	meters.AssertMatch(t, rec.Ended())
}

// A command of a type that the hook cannot copy replies to is sent as it is.
func TestHookAndOtherTypesOfCommands(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec := tracetest.Context(t), tracetest.NewRecorder(t)
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		var errs tracetest.ErrorLog
		tracetest.Instrument(t, rdb, rec, errs.Option())
		for i := range 3 {
			cmd := redis.NewBoolCmd(ctx, "publish", "reports", "hello")
			if err := rdb.Process(ctx, cmd); err != nil || !cmd.Val() {
				t.Errorf("the command has %v, %v, want true", cmd.Val(), err)
			}
			if got := tracetest.NextRaw(t, raw).Payload; got != "hello" {
				t.Errorf("on the wire is %q, want hello", got)
			}
			tracetest.AssertAttributes(t, rec.Spans(t, i+1)[i], tracetest.MessagingOn(rdb, "publish", "reports")...)
		}
		if reports := errs.All(); len(reports) != 1 || !strings.Contains(reports[0].Error(), "*redis.BoolCmd") {
			t.Errorf("the error handler got %v, want once of the type", reports)
		}

		answer := redis.NewRawCmd(ctx, "publish", "reports", "hello")
		if err := rdb.Process(ctx, answer); err != nil || string(answer.Val()) != ":1\r\n" {
			t.Errorf("the command has %q, %v, want the reply as it is", answer.Val(), err)
		}
		tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", rec.Spans(t, 4)[3])

		pipe := rdb.Pipeline()
		_ = pipe.Process(ctx, redis.NewBoolCmd(ctx, "publish", "reports", "hello"))
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		tracetest.AssertSucceeded(t, rec.Spans(t, 6)[5])
		if got := tracetest.NextRaw(t, raw).Payload; got != "hello" {
			t.Errorf("on the wire is %q, want hello", got)
		}
	})
}

// breaking is a dialer. When it is armed, the next connection that publishes a message
// breaks.
type breaking struct{ armed, broken atomic.Bool }

func (b *breaking) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &breakingConn{conn, b}, nil
}

type breakingConn struct {
	net.Conn
	by *breaking
}

func (c *breakingConn) Write(p []byte) (int, error) {
	if bytes.Contains(bytes.ToLower(p), []byte("publish")) && c.by.armed.CompareAndSwap(true, false) {
		c.by.broken.Store(true)
		_ = c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return c.Conn.Write(p)
}

// A message that go-redis sends again after a connection was lost has one span.
func TestHookAndRetries(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, p := range tracetest.Publishers {
		if strings.HasSuffix(p.Name, "Conn") || p.Name == "Tx" || strings.HasSuffix(p.Name, "Watch") {
			continue // they have one connection, and fail with it
		}
		for _, c := range commands {
			t.Run(p.Name+"/"+c.name, func(t *testing.T) {
				ctx, rec, channel := tracetest.Context(t), tracetest.NewRecorder(t), p.Name+"/"+c.name
				meters := tracetest.NewMetrics(t)
				var line breaking
				rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), Dialer: line.dial})
				t.Cleanup(func() { _ = rdb.Close() })
				tracetest.Instrument(t, rdb, rec, meters.Option())
				listener := server.Client()
				publish := listener.Publish
				if c.sharded {
					publish = listener.SPublish
				}
				raw := tracetest.ReadyRaw(t, listenBy(listener)(ctx, channel, c.sharded))

				var reply func() (int64, error)
				line.armed.Store(true)
				err := p.With(ctx, rdb, func(p tracetest.Publisher) { reply = c.run(ctx, p.(commander), channel) })
				switch {
				case strings.HasPrefix(p.Name, "TxPipeline"):
					// It is sent again, and go-redis leaves the first error on MULTI.
					if !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Errorf("the transaction has %v", err)
					}
				case err != nil:
					t.Fatal(err)
				}
				if n, err := reply(); n != 1 || err != nil {
					t.Errorf("the command has %d, %v, want 1", n, err)
				}
				if !line.broken.Load() {
					t.Fatal("no connection was lost")
				}
				spans := rec.Ended()
				if len(spans) > 2 {
					t.Errorf("the spans are %v, want none twice", tracetest.Names(spans))
				}
				for _, s := range spans {
					tracetest.AssertSucceeded(t, s)
				}
				meters.AssertMatch(t, spans)
				tracetest.AssertCarries(t, tracetest.NextRaw(t, raw), "hello", spans[0])
				tracetest.AssertSent(t, publish(ctx, channel, "end"))
				if got := tracetest.NextRaw(t, raw).Payload; got != "end" {
					t.Errorf("the next message is %q, want no other before the end", got)
				}
			})
		}
	}
}
