// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// accounted is what an envelope says about its delivery, as any reader of JSON sees it.
type accounted struct {
	TS  *int64  `json:"ts"`
	Src *string `json:"src"`
	Seq *int64  `json:"seq"`
}

func read(t *testing.T, message string) accounted {
	t.Helper()
	var a accounted
	if err := json.Unmarshal([]byte(message), &a); err != nil {
		t.Fatalf("%v: %q", err, message)
	}
	return a
}

var sourceForm = regexp.MustCompile(`^[A-Za-z0-9_-]{11}$`)

// assertNumbered asserts that messages have the numbers from first on, the same source, and
// the times at which they were published. It returns the source.
func assertNumbered(t *testing.T, messages []string, first int64, began time.Time) (source string) {
	t.Helper()
	for i, message := range messages {
		a := read(t, message)
		if a.TS == nil || a.Src == nil || a.Seq == nil {
			t.Fatalf("message %d has not all of ts, src and seq: %s", i, message)
		}
		if *a.Seq != first+int64(i) {
			t.Errorf("message %d has the number %d, want %d", i, *a.Seq, first+int64(i))
		}
		if at := time.UnixMicro(*a.TS); at.Before(began.Truncate(time.Microsecond)) || at.After(time.Now()) {
			t.Errorf("message %d was published at %v, want a time since %v", i, at, began)
		}
		if source == "" {
			source = *a.Src
		}
		if *a.Src != source || !sourceForm.MatchString(source) {
			t.Errorf("message %d is from %q, want 11 characters, the same for all: %q", i, *a.Src, source)
		}
	}
	return source
}

func nextRaw(t *testing.T, sub *redis.PubSub, n int) (messages []string) {
	t.Helper()
	for range n {
		messages = append(messages, tracetest.NextRaw(t, sub).Payload)
	}
	return messages
}

// Messages are numbered from 1 on their channel, whatever publishes them: a client, a
// pipeline, a transaction.
func TestEveryPublisherNumbers(t *testing.T) {
	rdb := redistest.Start(t).Client()
	for _, p := range tracetest.Publishers {
		for _, w := range tracetest.WaysToPublish {
			if !w.OfClient { // without a Client there are no options
				continue
			}
			t.Run(p.Name+"/"+w.Name, func(t *testing.T) {
				ctx, began := tracetest.Context(t), time.Now()
				client := tracedpubsub.Wrap(rdb, tracedpubsub.WithAccounting())
				channel := p.Name + w.Name
				sub := tracetest.ReadyRaw(t, w.Subscribe(rdb, ctx, channel))
				for range 2 {
					if err := p.With(ctx, rdb, func(p tracetest.Publisher) {
						w.Publish(client, ctx, p, channel, "hello")
						w.Publish(client, ctx, p, channel, `{"a":1}`)
					}); err != nil {
						t.Fatal(err)
					}
				}
				assertNumbered(t, nextRaw(t, sub, 4), 1, began)
			})
		}
	}
}

// The hook numbers single commands and batches, with a span for each message or one for all.
func TestTheHookNumbers(t *testing.T) {
	server := redistest.Start(t)
	for name, opts := range map[string][]tracedpubsub.Option{"a span for each message": nil, "a span for the batch": {tracedpubsub.WithBatchSpanOnly()}} {
		t.Run(name, func(t *testing.T) {
			ctx, began, rdb := tracetest.Context(t), time.Now(), tracetest.OtherClient(t, server.Client())
			sub := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "a"))
			tracetest.Instrument(t, rdb, tracetest.NewRecorder(t), append(opts, tracedpubsub.WithAccounting())...)
			tracetest.AssertSent(t, rdb.Publish(ctx, "a", "1"))
			for _, p := range tracetest.Pipelines {
				if _, err := p.Run(rdb, ctx, func(pipe redis.Pipeliner) error {
					pipe.Publish(ctx, "a", "2")
					pipe.Publish(ctx, "b", "elsewhere")
					pipe.Publish(ctx, "a", `{"n":3}`)
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			if err := rdb.Do(ctx, "PUBLISH", "a", "4").Err(); err != nil {
				t.Fatal(err)
			}
			assertNumbered(t, nextRaw(t, sub, 6), 1, began)
		})
	}
}

// Each channel has its own numbers, and so has each sharded channel, which may have the same
// name. Each Client is a publisher of its own.
func TestChannelsAndClientsAreApart(t *testing.T) {
	ctx, began, rdb := tracetest.Context(t), time.Now(), redistest.Start(t).Client()
	a, b, sharded := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "a")), tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "b")), tracetest.ReadyRaw(t, rdb.SSubscribe(ctx, "a"))
	option := tracedpubsub.WithAccounting()
	var sources []string
	for _, client := range []*tracedpubsub.Client{tracedpubsub.Wrap(rdb, option), tracedpubsub.Wrap(rdb, option)} {
		for range 2 {
			tracetest.AssertSent(t, client.Publish(ctx, "a", "hello"))
			tracetest.AssertSent(t, client.Publish(ctx, "b", "hello"))
			tracetest.AssertSent(t, client.SPublish(ctx, "a", "hello"))
		}
		onA, onB := assertNumbered(t, nextRaw(t, a, 2), 1, began), assertNumbered(t, nextRaw(t, b, 2), 1, began)
		if onA != onB {
			t.Errorf("one publisher has the sources %q and %q", onA, onB)
		}
		sources = append(sources, onA, assertNumbered(t, nextRaw(t, sharded, 2), 1, began))
	}
	seen := make(map[string]bool)
	for _, source := range sources {
		if seen[source] {
			t.Errorf("the sources are %q, want different ones", sources)
		}
		seen[source] = true
	}
}

// unmarshalable fails while it is marshaled.
type unmarshalable struct{}

func (unmarshalable) MarshalBinary() ([]byte, error) { return nil, tracetest.ErrTest }

var _ encoding.BinaryMarshaler = unmarshalable{}

// What gets no envelope uses up no number: a payload that cannot be marshaled, or is not
// accepted, and a channel that a filter leaves out.
func TestNoNumberWithoutAnEnvelope(t *testing.T) {
	server := redistest.Start(t)
	bare := func(channel string) bool { return channel != "bare" }
	for name, wrap := range map[string]func(rdb *redis.Client, opts ...tracedpubsub.Option) tracetest.Publisher{
		"Client": func(rdb *redis.Client, opts ...tracedpubsub.Option) tracetest.Publisher {
			return tracedpubsub.Wrap(rdb, opts...)
		},
		"hook": func(rdb *redis.Client, opts ...tracedpubsub.Option) tracetest.Publisher {
			tracetest.Instrument(t, rdb, tracetest.NewRecorder(t), opts...)
			return rdb
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, began, rdb := tracetest.Context(t), time.Now(), tracetest.OtherClient(t, server.Client())
			sub := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "a", "bare"))
			p := wrap(rdb, tracedpubsub.WithAccounting(), tracedpubsub.WithEnvelopeFilter(bare))
			tracetest.AssertSent(t, p.Publish(ctx, "a", "hello"))
			for _, payload := range []any{unmarshalable{}, struct{}{}} {
				if err := p.Publish(ctx, "a", payload).Err(); err == nil {
					t.Errorf("a %T was published", payload)
				}
			}
			tracetest.AssertSent(t, p.Publish(ctx, "bare", "hello"))
			tracetest.AssertSent(t, p.Publish(ctx, "a", "hello"))
			messages := nextRaw(t, sub, 3)
			if messages[1] != "hello" {
				t.Errorf("without an envelope %q is published", messages[1])
			}
			assertNumbered(t, []string{messages[0], messages[2]}, 1, began)
		})
	}
}

// Without the option an envelope has none of the members.
func TestNoNumbersByDefault(t *testing.T) {
	ctx, rdb := tracetest.Context(t), redistest.Start(t).Client()
	sub := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "a"))
	tracetest.AssertSent(t, tracedpubsub.Publish(ctx, rdb, "a", "hello"))
	if got, want := tracetest.NextRaw(t, sub).Payload, `{"tracedpubsub":1,"payload":"hello"}`; got != want {
		t.Errorf("published is %s, want %s", got, want)
	}
	encoded, err := tracedpubsub.Encode(ctx, "hello", tracedpubsub.WithAccounting())
	if want := `{"tracedpubsub":1,"payload":"hello"}`; string(encoded) != want || err != nil {
		t.Errorf("encoded is %s, %v, want %s", encoded, err, want)
	}
}

// keeper is a publisher that keeps what it is to send.
type keeper struct {
	mu       sync.Mutex
	messages []string
}

func (k *keeper) Publish(ctx context.Context, _ string, message any) *redis.IntCmd {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.messages = append(k.messages, fmt.Sprint(message))
	return redis.NewIntCmd(ctx)
}

// A publisher keeps no more than 65,536 numbers. Then it is a new publisher, whose numbers
// begin again.
func TestNumbersAreBounded(t *testing.T) {
	ctx, k := t.Context(), new(keeper)
	client := tracedpubsub.Wrap(tracetest.OtherClient(t, redistest.Start(t).Client()), tracedpubsub.WithAccounting())
	const most = 65_536
	for i := range most {
		client.PublishTo(ctx, k, strconv.Itoa(i), "")
	}
	client.PublishTo(ctx, k, "0", "")
	client.PublishTo(ctx, k, "one more", "")
	client.PublishTo(ctx, k, "0", "")
	first, second, third, fourth := read(t, k.messages[0]), read(t, k.messages[most]), read(t, k.messages[most+1]), read(t, k.messages[most+2])
	if *second.Src != *first.Src || *second.Seq != 2 {
		t.Errorf("with %d channels, the second message of one is number %d of %q, want 2 of %q", most, *second.Seq, *second.Src, *first.Src)
	}
	if *third.Src == *first.Src || *third.Seq != 1 || *fourth.Src != *third.Src || *fourth.Seq != 1 {
		t.Errorf("with one more, the numbers are %d of %q and %d of %q, want 1 of a new source", *third.Seq, *third.Src, *fourth.Seq, *fourth.Src)
	}
}

// Goroutines that publish on one channel share its numbers, and none is given twice.
func TestNumbersOfManyGoroutines(t *testing.T) {
	ctx, k := t.Context(), new(keeper)
	client := tracedpubsub.Wrap(tracetest.OtherClient(t, redistest.Start(t).Client()), tracedpubsub.WithAccounting())
	var publishers sync.WaitGroup
	const each = 500
	for range 8 {
		publishers.Go(func() {
			for range each {
				client.PublishTo(ctx, k, "a", "")
			}
		})
	}
	publishers.Wait()
	seen := make(map[int64]bool)
	for _, message := range k.messages {
		seen[*read(t, message).Seq] = true
	}
	for n := range int64(8 * each) {
		if !seen[n+1] {
			t.Fatalf("nothing has the number %d", n+1)
		}
	}
}
