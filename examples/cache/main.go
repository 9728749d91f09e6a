// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Command cache shows a local cache that is invalidated over Redis Pub/Sub, and that is right
// after an outage: it drops everything if it has missed something. The cache is in cache.go.
//
// The command runs two caches, one of them without that rule, cuts their connection while keys
// change, and counts the stale entries. It starts its own Redis and needs nothing installed:
//
//	go run -C examples ./cache
//
// It fails if the cache with the rule has a stale entry at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9/logging"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logging.Disable() // go-redis also logs the errors that it returns
	var o options
	flag.StringVar(&o.redis, "redis", "", "the address of a Redis; without it, one runs in this process")
	flag.StringVar(&o.svg, "svg", "", "a folder for the picture of the run: missed-light.svg and missed-dark.svg")
	flag.DurationVar(&o.before, "before", 2*time.Second, "how long it runs before the connection is cut")
	flag.DurationVar(&o.outage, "outage", 2*time.Second, "how long no connection can be made")
	flag.Parse()
	if _, err := run(ctx, &o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cache:", err)
		os.Exit(1)
	}
}

type options struct {
	redis, svg     string
	before, outage time.Duration
}

// outcome is what a run has shown.
type outcome struct {
	published, received, skipped, lost int64
	stale                              [2]int // entries at the end, without the rule and with it
	samples                            []sample
	cut, mended                        time.Duration // when
}

func run(ctx context.Context, o *options, stdout io.Writer) (*outcome, error) {
	addr := o.redis
	if addr == "" {
		server, err := miniredis.Run()
		if err != nil {
			return nil, err
		}
		defer server.Close()
		addr = server.Addr()
	}
	d := newDemo(addr, stdout)
	defer d.close()
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	got, err := d.run(ctx, o)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(stdout, "\ninvalidations: %d published, %d received, %d skipped, %d lost\n", got.published, got.received, got.skipped, got.lost)
	fmt.Fprintf(stdout, "stale entries at the end, of %d: %d without the rule, %d with it\n", numberOfKeys, got.stale[without], got.stale[with])
	if o.svg != "" {
		err = draw(o.svg, got)
	}
	if got.stale[with] > 0 {
		err = errors.Join(err, errors.New("entries are stale in the cache with the rule"))
	}
	return got, err
}
