// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"encoding/json"
	"net"
	"testing"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/extensions"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// cloudEvents publishes CloudEvents without an envelope, and reports the data of those it reads.
var cloudEvents = peer{"CloudEvents SDK for JavaScript", "has the context in an extension", node, []string{"cloudevents", "3", "string"}, true}

var cloudEventData = []struct{ name, reason, data string }{
	{"text", "a string in the event", "hello"},
	{"JSON", "text as well", `{"id":7,"n":"x"}`},
	{"bytes", "base64 in the event", "\xff\xfe\x00"},
}

// A CloudEvent with the extension for distributed tracing has a context of its own. A reader
// gets it as it is, within its trace; and one that is published in an envelope, likewise.
func testCloudEvents(t *testing.T, server *redistest.Server, commands map[*language][]string, readers []*reader) {
	rdb := server.Client()
	enveloped := goWriter("", rdb)
	writers := []writer{{name: "SDK for Go", publish: func(ctx context.Context, data string) (string, error) {
		return idOf(trace.SpanContextFromContext(ctx)), rdb.Publish(ctx, channel, newCloudEvent(t, ctx, data)).Err()
	}}, {name: "SDK for Go, in an envelope", publish: func(ctx context.Context, data string) (string, error) {
		return enveloped.publish(ctx, string(newCloudEvent(t, ctx, data)))
	}}}
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	var sdk *reader
	if command := cloudEvents.command(commands, "write", host, port, channel); command != nil {
		writers = append(writers, peerWriter(cloudEvents, startProcess(t, cloudEvents.name, command)))
		command = cloudEvents.command(commands, "read", host, port, channel)
		sdk = &reader{name: cloudEvents.name, reports: startProcess(t, cloudEvents.name, command).reports}
		waitForSubscribers(t, rdb, channel, len(readers)+1)
	}
	for _, w := range writers {
		for _, row := range cloudEventData {
			t.Run(w.name+"/"+row.name, func(t *testing.T) {
				parent, err := w.publish(newContext(""), row.data)
				if err != nil {
					t.Fatal(err)
				}
				want := expected{row.data, parent, nil}
				for _, r := range readers {
					r.assertNextCloudEvent(t, row.name, want)
				}
				if sdk != nil {
					sdk.assertNext(t, row.name, want)
				}
			})
		}
	}
}

// newCloudEvent returns a CloudEvent in JSON, with the trace context of ctx.
func newCloudEvent(t *testing.T, ctx context.Context, data string) []byte {
	t.Helper()
	carrier := readable{}
	w3c.Inject(ctx, carrier)
	e := event.New()
	e.SetID("1")
	e.SetSource("/reports")
	e.SetType("report")
	extensions.DistributedTracingExtension{TraceParent: carrier["traceparent"]}.AddTracingAttributes(&e)
	var err error
	if utf8.ValidString(data) {
		err = e.SetData(event.TextPlain, data)
	} else {
		err = e.SetData("application/octet-stream", []byte(data))
	}
	if err != nil {
		t.Fatal(err)
	}
	message, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// assertNextCloudEvent asserts that the next payload is a CloudEvent with the data of want.
func (r *reader) assertNextCloudEvent(t *testing.T, message string, want expected) {
	t.Helper()
	got, ok := r.next(t, message)
	if !ok {
		return
	}
	var e event.Event
	if err := json.Unmarshal(got.Payload, &e); err != nil {
		t.Errorf("%s: the payload %.100q is no CloudEvent: %v", r.name, got.Payload, err)
	} else if string(e.Data()) != want.payload {
		t.Errorf("%s: data %.100q, want %.100q", r.name, e.Data(), want.payload)
	}
	r.assertContext(t, got, want)
}
