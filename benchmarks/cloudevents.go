// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/extensions"
	"go.opentelemetry.io/otel/propagation"
)

// CloudEvents is a CloudEvent in JSON, with the extension for distributed tracing.
const CloudEvents = "CloudEvents SDK"

func cloudEventsEncode(ctx context.Context, kind Kind, payload any) ([]byte, error) {
	carrier := propagation.MapCarrier{}
	w3c.Inject(ctx, carrier)
	e := event.New()
	e.SetID("1")
	e.SetSource("benchmarks")
	e.SetType("message")
	extensions.DistributedTracingExtension{
		TraceParent: carrier.Get("traceparent"), TraceState: carrier.Get("tracestate"),
	}.AddTracingAttributes(&e)
	var err error
	switch text := payload.(string); kind {
	case Text:
		err = e.SetData(event.TextPlain, text)
	case JSON:
		err = e.SetData(event.ApplicationJSON, json.RawMessage(text))
	case Binary:
		err = e.SetData("application/octet-stream", []byte(text))
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(e)
}

func cloudEventsDecode(_ Kind, message string) (decoded, error) {
	var e event.Event
	if err := json.Unmarshal([]byte(message), &e); err != nil {
		return decoded{}, err
	}
	tracing, ok := extensions.GetDistributedTracingExtension(e)
	if !ok {
		return decoded{}, errors.New("no context in the event")
	}
	carrier := propagation.MapCarrier{"traceparent": tracing.TraceParent}
	return decoded{bytes: e.Data(), carrier: carrier}, nil
}
