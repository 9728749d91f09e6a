// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// api takes orders over HTTP and publishes them.
type api struct {
	redis    *bus
	provider trace.TracerProvider
	stopping <-chan struct{}
}

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reports", a.postReport)
	mux.HandleFunc("GET /reports/{id}", a.getReport)
	mux.HandleFunc("GET /pub", a.getPub)
	return otelhttp.NewHandler(mux, "api",
		otelhttp.WithTracerProvider(reasonKeeper{a.provider}), otelhttp.WithPropagators(propagators))
}

// run answers requests until ctx is canceled, and finishes those that it has begun.
func (a *api) run(ctx context.Context, listener net.Listener) error {
	a.stopping = ctx.Done()
	server := &http.Server{Handler: a.handler(), ReadHeaderTimeout: patience}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		stopped <- server.Shutdown(ctx)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// postReport accepts an order and publishes it. It does not wait for the workers: the
// client gets the report with a later request.
func (a *api) postReport(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		fail(w, r, http.StatusBadRequest, err)
		return
	}
	o, err := parseOrder(body)
	if err != nil {
		fail(w, r, http.StatusBadRequest, err)
		return
	}
	o.ID = rand.Text()
	message, err := json.Marshal(o)
	if err == nil {
		err = store(r.Context(), a.redis.Unwrap(), o.ID, orderField, message)
	}
	if err == nil {
		// The context carries the server span: the publish becomes its child.
		err = a.redis.Publish(r.Context(), reportsChannel, message).Err()
	}
	if err != nil {
		fail(w, r, http.StatusServiceUnavailable, err)
		return
	}
	w.Header().Set("Location", "/reports/"+o.ID)
	reply(w, http.StatusAccepted, map[string]string{"id": o.ID})
}

// getReport returns the parts that are finished. With ?wait=5s it waits up to five
// seconds for the others.
func (a *api) getReport(w http.ResponseWriter, r *http.Request) {
	wait, err := parseWait(r.FormValue("wait"))
	if err != nil {
		fail(w, r, http.StatusBadRequest, err)
		return
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	last := wait == 0
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		found, err := load(r.Context(), a.redis.Unwrap(), r.PathValue("id"))
		switch {
		case errors.Is(err, errUnknownReport):
			fail(w, r, http.StatusNotFound, err)
			return
		case err != nil:
			fail(w, r, http.StatusServiceUnavailable, err)
			return
		case found.complete() || last:
			reply(w, http.StatusOK, found)
			return
		}
		select {
		case <-time.After(pause):
		case <-deadline.C:
			last = true
		case <-a.stopping:
			last = true
		case <-r.Context().Done():
			return
		}
	}
}

// mostWait is the longest time that a request may wait.
const mostWait = time.Minute

func parseWait(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(s)
	if err != nil || wait < 0 || wait > mostWait {
		return 0, errors.New("wait must be a duration of at most a minute, like 5s")
	}
	return wait, nil
}

// getPub publishes the query. It accepts any query.
func (a *api) getPub(w http.ResponseWriter, r *http.Request) {
	query := map[string]any{}
	for name, values := range r.URL.Query() {
		query[name] = values
		if len(values) == 1 {
			query[name] = values[0]
		}
	}
	message, err := json.Marshal(query)
	if err == nil {
		err = a.redis.Publish(r.Context(), pubChannel, message).Err()
	}
	if err != nil {
		fail(w, r, http.StatusServiceUnavailable, err)
		return
	}
	reply(w, http.StatusAccepted, map[string]any{"published": query})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller is gone
}

// fail answers with an error. If the client has not caused it, it also sets it on the server
// span.
func fail(w http.ResponseWriter, r *http.Request, status int, err error) {
	if status >= http.StatusInternalServerError {
		trace.SpanFromContext(r.Context()).SetStatus(codes.Error, err.Error())
	}
	reply(w, status, map[string]string{"error": fmt.Sprint(err)})
}
