// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

var setUser = regexp.MustCompile(`(?m)^ACL SETUSER (\w+) .*$`)

// usersOfTheDocumentation creates the users of docs/security.md, and returns a client for
// each.
func usersOfTheDocumentation(t *testing.T, server *redistest.Server) map[string]*redis.Client {
	t.Helper()
	security, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	users := make(map[string]*redis.Client)
	for _, command := range setUser.FindAllStringSubmatch(string(security), -1) {
		var args []any
		for _, word := range strings.Fields(command[0]) {
			args = append(args, word)
		}
		if err := server.Client().Do(tracetest.Context(t), args...).Err(); err != nil {
			t.Fatalf("%s: %v", command[0], err)
		}
		users[command[1]] = tracetest.NoRetryClient(t, &redis.Options{Addr: server.Addr(), Username: command[1], Password: "change-me"})
	}
	return users
}

// The access lists of docs/security.md allow what the users need, and nothing else.
func TestAccessLists(t *testing.T) {
	server := redistest.Start(t)
	users, ctx := usersOfTheDocumentation(t, server), tracetest.Context(t)
	api, worker := users["api"], users["worker"]
	if api == nil || worker == nil {
		t.Fatal("docs/security.md shows no users api and worker")
	}

	sub := tracetest.ReadySub(t, tracedpubsub.Subscribe(ctx, worker, "reports.daily"))
	tracetest.ReadySub(t, tracedpubsub.PSubscribe(ctx, worker, "reports.*"))
	tracetest.ReadySub(t, tracedpubsub.SSubscribe(ctx, worker, "reports.daily"))
	tracetest.AssertSent(t, tracedpubsub.Publish(ctx, api, "reports.daily", "hello"))
	tracetest.AssertSent(t, tracedpubsub.SPublish(ctx, api, "reports.daily", "hello"))
	if m := tracetest.NextMessage(t, sub); m.Payload != "hello" || m.Err != nil {
		t.Errorf("got %q, %v, want hello", m.Payload, m.Err)
	}

	if err := server.Client().ACLSetUser(ctx, "fresh", "on", ">change-me", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	fresh := tracetest.NoRetryClient(t, &redis.Options{Addr: server.Addr(), Username: "fresh", Password: "change-me"})

	silent := tracedpubsub.WithErrorHandler(func(error) {})
	for _, refused := range []struct {
		name, reason string
		err          error
	}{
		{"publish elsewhere", "the channel is not allowed", tracedpubsub.Publish(ctx, api, "orders", "hello").Err()},
		{"publish as a new user", "no channel is allowed by default", tracedpubsub.Publish(ctx, fresh, "reports.daily", "hello").Err()},
		{"publish as the worker", "the command is not allowed", tracedpubsub.Publish(ctx, worker, "reports.daily", "hello").Err()},
		{"subscribe elsewhere", "the channel is not allowed", refusal(t, tracedpubsub.Wrap(worker, silent).Subscribe(ctx, "orders"))},
		{"subscribe as the api", "the command is not allowed", refusal(t, tracedpubsub.Wrap(api, silent).Subscribe(ctx, "reports.daily"))},
		{"wider pattern", "it is another pattern than the allowed one", refusal(t, tracedpubsub.Wrap(worker, silent).PSubscribe(ctx, "*"))},
		{"narrower pattern", "likewise", refusal(t, tracedpubsub.Wrap(worker, silent).PSubscribe(ctx, "reports.a*"))},
	} {
		if refused.err == nil || !strings.Contains(refused.err.Error(), "NOPERM") {
			t.Errorf("%s: %v, want NOPERM: %s", refused.name, refused.err, refused.reason)
		}
	}
}

// refusal returns the error of Ready, and closes the subscription.
func refusal(t *testing.T, sub *tracedpubsub.PubSub) error {
	t.Helper()
	defer func() { _ = sub.Close() }()
	return sub.Ready(tracetest.Context(t))
}

// SLOWLOG keeps the beginning of an envelope, where the propagation fields are.
func TestSlowlogHasTheFields(t *testing.T) {
	rdb := redistest.Start(t, "--slowlog-log-slower-than", "0").Client()
	ctx, spans := tracetest.Context(t), tracetest.NewRecorder(t)
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(spans))
	tracetest.AssertSent(t, client.Publish(tracetest.WithBaggage(t, ctx, "card=4111"), "reports", strings.Repeat("x", 1000)))
	log, err := rdb.SlowLogGet(ctx, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(log, func(e redis.SlowLog) bool { return strings.EqualFold(e.Args[0], "publish") })
	if i < 0 {
		t.Fatalf("SLOWLOG has no PUBLISH: %v", log)
	}
	message := log[i].Args[2]
	if !strings.Contains(message, `"baggage":"card=4111"`) || strings.Count(message, "x") > 128 || !strings.Contains(message, "more bytes") {
		t.Errorf("SLOWLOG has %q, want the first 128 bytes of the envelope", message)
	}
}

// Every subscriber can read the baggage, with any client.
func TestBaggageIsInClearText(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx := tracetest.Context(t)
		raw := tracetest.ReadyRaw(t, rdb.PSubscribe(ctx, "*"))
		tracetest.AssertSent(t, tracedpubsub.Publish(tracetest.WithBaggage(t, ctx, "card=4111"), rdb, "reports", "hello"))
		if got, want := tracetest.NextRaw(t, raw).Payload, `{"tracedpubsub":1,"baggage":"card=4111","payload":"hello"}`; got != want {
			t.Errorf("on the wire is %s, want %s", got, want)
		}
	})
}

// MONITOR shows the envelope.
func TestMonitorHasTheEnvelope(t *testing.T) {
	server := redistest.Start(t)
	ctx := tracetest.Context(t)
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	if !lines.Scan() || lines.Text() != "+OK" {
		t.Fatalf("MONITOR: %q, %v", lines.Text(), lines.Err())
	}
	tracetest.AssertSent(t, tracedpubsub.Publish(tracetest.WithBaggage(t, ctx, "card=4111"), server.Client(), "reports", "hello"))
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"publish"`) {
			break
		}
	}
	if !strings.Contains(lines.Text(), "card=4111") {
		t.Errorf("MONITOR has %q, %v, want the envelope", lines.Text(), lines.Err())
	}
}

// The server limits the size of a message.
func TestLargestMessageOfTheServer(t *testing.T) {
	rdb := redistest.Start(t).Client()
	ctx := tracetest.Context(t)
	limit, err := rdb.ConfigGet(ctx, "proto-max-bulk-len").Result()
	if err != nil || limit["proto-max-bulk-len"] != "536870912" {
		t.Errorf("proto-max-bulk-len is %v, %v, want 512 MB", limit, err)
	}
	if err := rdb.ConfigSet(ctx, "proto-max-bulk-len", "1048576").Err(); err != nil {
		t.Fatal(err)
	}
	if err := tracedpubsub.Publish(ctx, rdb, "reports", strings.Repeat("x", 2<<20)).Err(); err == nil {
		t.Error("a message above the limit was sent")
	}
}

// Telemetry and errors contain neither payloads nor baggage.
func TestTelemetryHasNothingOfTheMessage(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		for _, message := range []string{
			forged(`"baggage":"card=kryptonite"`),
			`{"tracedpubsub":1,"traceparent":"` + forgedParent + `","baggage":"card=kryptonite","payload":"kryptonite`,
			`{"tracedpubsub":2,"traceparent":"` + forgedParent + `","baggage":"card=kryptonite","payload":"kryptonite"}`,
			forged(`"baggage":"card=` + strings.Repeat("kryptonite", 5000) + `"`),
		} {
			ctx, spans, meters := tracetest.WithBaggage(t, tracetest.Context(t), "card=kryptonite"), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
			var errs tracetest.ErrorLog
			client := tracedpubsub.Wrap(rdb, tracedpubsub.WithTracerProvider(spans), meters.Option(), errs.Option())
			sub := tracetest.ReadySub(t, client.Subscribe(ctx, "reports"))
			tracetest.AssertSent(t, client.Publish(ctx, "reports", "kryptonite"))
			_ = client.Publish(ctx, "reports", map[string]string{"card": "kryptonite"})
			tracetest.AssertSent(t, rdb.Publish(ctx, "reports", message))
			handled := 0
			var err error
			for _, m := range sub.Messages(ctx) {
				err = errors.Join(err, m.Err)
				if handled++; handled == 2 {
					break
				}
			}
			var telemetry strings.Builder
			for _, s := range spans.Spans(t, 4) {
				fmt.Fprintln(&telemetry, s.Name(), s.Attributes(), s.Status(), s.Events(), s.Links())
			}
			fmt.Fprintln(&telemetry, meters.ByName(t), errs.All(), err)
			if strings.Contains(telemetry.String(), "kryptonite") {
				t.Errorf("a part of the message %.100q is in the telemetry:\n%s", message, &telemetry)
			}
		}
	})
}
