// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// client orders a report over HTTP, as any other program would.
type client struct {
	url    string
	http   *http.Client
	tracer trace.Tracer
}

func newClient(url string, tp trace.TracerProvider) *client {
	transport := otelhttp.NewTransport(&http.Transport{DisableKeepAlives: true},
		otelhttp.WithTracerProvider(tp), otelhttp.WithPropagators(propagators))
	return &client{url, &http.Client{Transport: transport}, tp.Tracer(scope)}
}

// order orders a report and waits for it. It also returns the trace ID.
func (c *client) order(ctx context.Context, o *order, wait time.Duration) (*report, trace.TraceID, error) {
	ctx, span := c.tracer.Start(ctx, "order a report")
	defer span.End()
	id := span.SpanContext().TraceID()

	var accepted struct{ ID string }
	body, err := json.Marshal(o)
	if err == nil {
		err = c.call(ctx, http.MethodPost, "/reports", body, http.StatusAccepted, &accepted)
	}
	var done report
	if err == nil {
		path := fmt.Sprintf("/reports/%s?wait=%s", url.PathEscape(accepted.ID), wait)
		err = c.call(ctx, http.MethodGet, path, nil, http.StatusOK, &done)
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return nil, id, err
	}
	return &done, id, nil
}

func (c *client) call(ctx context.Context, method, path string, body []byte, want int, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, reasonIn(text))
	}
	return json.Unmarshal(text, answer)
}

// reasonIn returns the error in an answer of the API.
func reasonIn(text []byte) string {
	var answer struct{ Error string }
	if err := json.Unmarshal(text, &answer); err != nil || answer.Error == "" {
		return string(bytes.TrimSpace(text))
	}
	return answer.Error
}
