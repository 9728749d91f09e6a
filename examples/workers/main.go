// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Workers is a service to copy from: a pool of consumers of one subscription, with a readiness
// check, a shutdown that loses nothing, JSON payloads, and logs with trace IDs.
//
//	workers              pack orders until SIGTERM or Ctrl-C
//	workers -publish 5   publish five orders and exit
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"

	"github.com/tracedpubsub/tracedpubsub"
)

const (
	channel      = "orders"
	shutdownTime = 10 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	slog.SetDefault(slog.New(traceIDs{slog.NewJSONHandler(os.Stderr, nil)}))
	if err := run(ctx); err != nil {
		slog.Error("failed", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	addr := flag.String("redis", "127.0.0.1:6379", "address of the Redis server")
	health := flag.String("health", "127.0.0.1:8081", "address of the readiness check")
	workers := flag.Int("workers", 4, "number of consumers")
	orders := flag.Int("publish", 0, "publish this many orders and exit")
	flag.Parse()

	provider, err := newTracerProvider(ctx)
	if err != nil {
		return err
	}
	defer shutdownTracing(provider)
	otel.SetTracerProvider(provider)

	rdb := redis.NewClient(&redis.Options{Addr: *addr})
	defer rdb.Close()
	client := tracedpubsub.Wrap(rdb, tracedpubsub.WithErrorHandler(logError))
	if *orders > 0 {
		return publish(ctx, client, *orders)
	}
	return serve(ctx, client, *health, *workers)
}

// serve packs orders until ctx is canceled, and then those that the server has sent by then.
func serve(ctx context.Context, client *tracedpubsub.Client, health string, workers int) error {
	listener, err := net.Listen("tcp", health)
	if err != nil {
		return err
	}
	sub := client.Subscribe(ctx, channel)
	defer sub.Close()

	// The signal does not cancel the context of the loops: Shutdown ends them.
	packer := &packer{save: saveIn(client.Unwrap())}
	var pool sync.WaitGroup
	for range workers {
		pool.Go(func() {
			_ = sub.Process(context.WithoutCancel(ctx), logged(packer.pack)) // nil after Shutdown
		})
	}

	server := &http.Server{Handler: healthHandler(sub), ReadHeaderTimeout: time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	defer server.Close() // last, so that it can be asked until the end
	slog.Info("started", "health", "http://"+listener.Addr().String()+"/readyz", "workers", workers)

	select {
	case <-ctx.Done():
	case err = <-stopped:
	}
	slog.Info("shutting down") // from the next line on, the readiness check fails
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := errors.Join(err, sub.Shutdown(deadline)); err != nil {
		return err // it says how many messages were dropped that had been read
	}
	pool.Wait()
	slog.Info("stopped")
	return nil
}

// healthHandler answers whether messages arrive at the moment.
func healthHandler(sub *tracedpubsub.PubSub) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if err := sub.Ready(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux
}

// publish publishes n orders.
func publish(ctx context.Context, client *tracedpubsub.Client, n int) error {
	ctx, span := otel.Tracer("workers").Start(ctx, "place orders")
	defer span.End()
	for i := range n {
		order := Order{ID: fmt.Sprint(i + 1), Item: "tea", Quantity: 1 + i%3}
		receivers, err := client.Publish(ctx, channel, tracedpubsub.JSON(order)).Result()
		if err != nil {
			return err
		}
		slog.InfoContext(ctx, "published", "order", order.ID, "receivers", receivers)
	}
	return nil
}
