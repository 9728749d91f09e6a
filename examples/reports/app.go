// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/trace"
)

// The names of the services in the traces.
const (
	clientService = "client"
	apiService    = "api"
	loggerService = "logger"
)

func workerService(part string) string { return "worker-" + part }

// app holds the services of this process: one role, or all of them. Each service has a
// tracer provider and a connection to Redis of its own, as in a process of its own.
type app struct {
	*options
	screen         screen
	stdout, stderr io.Writer
	telemetry      *telemetry
	url            string // of the API

	ctx      context.Context // canceled when a service fails, with the failure as the cause
	cancel   context.CancelCauseFunc
	services sync.WaitGroup
	cleanups []func()
}

// start returns when all services are ready. The caller ends the app.
func start(ctx context.Context, o *options, s screen, stdout, stderr io.Writer) (*app, error) {
	a := &app{options: o, screen: s, stdout: stdout, stderr: stderr}
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	if err := a.startAll(); err != nil {
		a.end()
		return nil, err
	}
	return a, nil
}

func (a *app) startAll() (err error) {
	var listener net.Listener
	if a.runs(roleAPI) {
		// Before anything else, so that a port in use is the first error.
		if listener, err = net.Listen("tcp", a.addr); err != nil {
			return err
		}
		a.atEnd(func() { listener.Close() }) // usually the server has closed it
	}
	if a.telemetry, err = newTelemetry(a.ctx, a.otlp, a.stderr); err != nil {
		return err
	}
	a.atEnd(a.telemetry.shutdown)
	if len(a.redis) == 0 {
		addr, stop, err := embeddedRedis()
		if err != nil {
			return err
		}
		a.atEnd(stop)
		a.redis = []string{addr}
	}
	if a.runs(roleWorker) {
		for _, part := range a.parts {
			if err := a.startWorker(part); err != nil {
				return err
			}
		}
	}
	if a.runs(roleLogger) {
		if err := a.startLogger(); err != nil {
			return err
		}
	}
	if a.runs(roleAPI) {
		return a.startAPI(listener)
	}
	return nil
}

func (a *app) startWorker(part string) error {
	name := workerService(part)
	provider := a.telemetry.provider(name)
	bus, err := a.connect(name, provider)
	if err != nil {
		return err
	}
	w := &worker{part: part, redis: bus, tracer: provider.Tracer(scope)}
	return a.startService(name, "is subscribed to "+reportsChannel, w.run)
}

func (a *app) startLogger() error {
	bus, err := a.connect(loggerService, a.telemetry.provider(loggerService))
	if err != nil {
		return err
	}
	l := &logger{redis: bus, print: a.print}
	return a.startService(loggerService, "is subscribed to "+pubChannel, l.run)
}

func (a *app) startAPI(listener net.Listener) error {
	provider := a.telemetry.provider(apiService)
	bus, err := a.connect(apiService, provider)
	if err != nil {
		return err
	}
	a.url = "http://" + listener.Addr().String()
	server := &api{redis: bus, provider: provider}
	return a.startService(apiService, "listens on "+a.url, func(ctx context.Context, ready func()) error {
		ready() // requests wait in the listener
		return server.run(ctx, listener)
	})
}

// connect opens the Redis connection of a service.
func (a *app) connect(service string, provider trace.TracerProvider) (*bus, error) {
	report := func(err error) { fmt.Fprintf(a.stderr, "reports: %s: %s\n", service, oneLine(err.Error())) }
	bus, err := connect(a.ctx, a.redis, provider, report)
	if err != nil {
		return nil, fmt.Errorf("no answer from Redis at %s: %w", strings.Join(a.redis, ", "), err)
	}
	a.atEnd(func() { bus.Close() })
	return bus, nil
}

// startService starts run and returns when it is ready or has failed.
func (a *app) startService(name, does string, run func(ctx context.Context, ready func()) error) error {
	ready := make(chan struct{})
	a.services.Go(func() {
		if err := run(a.ctx, func() { close(ready) }); err != nil {
			a.cancel(fmt.Errorf("%s: %w", name, err))
		}
	})
	select {
	case <-ready:
	case <-a.ctx.Done():
		return context.Cause(a.ctx)
	}
	if !a.order {
		a.print(name + " " + does)
	}
	return nil
}

// print prints a line.
func (a *app) print(line string) { fmt.Fprintln(a.stdout, a.screen.fit(line)) }

func (a *app) atEnd(cleanup func()) { a.cleanups = append(a.cleanups, cleanup) }

// end ends all services, lets them finish what they have begun, and cleans up.
func (a *app) end() {
	a.cancel(nil)
	a.services.Wait()
	for _, cleanup := range slices.Backward(a.cleanups) {
		cleanup()
	}
	a.cleanups = nil
}
