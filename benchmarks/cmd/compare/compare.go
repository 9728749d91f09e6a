// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
	"github.com/tracedpubsub/tracedpubsub/benchmarks/internal/redisserver"
)

// withServer calls f with this process on one core, beside a server.
func withServer(ctx context.Context, f func(at *place) error) (err error) {
	pinned, err := pin()
	if err != nil {
		return err
	}
	server, err := redisserver.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	env := b.NewEnv(server.Addr(), nil)
	defer func() { err = errors.Join(err, env.Close()) }()
	return f(&place{env, clock{[]int{server.PID()}}, pinned})
}

func comparing(ctx context.Context, o *options, stdout io.Writer) error {
	return withServer(ctx, func(at *place) error {
		r, err := newRunner(at, comparisons(), o.rounds, o.time)
		if err != nil {
			return err
		}
		defer r.close()
		if err := r.measure(ctx); err != nil {
			return err
		}
		grown, err := shortGrowth(ctx, at.env, o)
		if err != nil {
			return err
		}
		checks, err := targets(r.results(), grown)
		if err != nil {
			return err
		}
		made := &report{aboutMachine(at.pinned), o.command, o.rounds, checks, measurements(r), grown}
		printReport(stdout, made)
		fmt.Fprintf(stdout, "\n%s", summaryTable(checks))
		if err := keep(o, made, r.results()); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "\nThe numbers are in %s, and a picture of them in %s.\n", o.path("compare.json"), o.path("compare.svg"))
		return nil
	})
}

func (o *options) path(name string) string { return filepath.Join(o.out, name) }

// keep writes the files.
func keep(o *options, made *report, r results) error {
	if err := writeJSON(o.path("compare.json"), made); err != nil {
		return err
	}
	if err := writeChart(o.path("compare.svg"), made.Measured); err != nil {
		return err
	}
	if !o.docs {
		return nil
	}
	short, err := shortTable(r)
	if err != nil {
		return err
	}
	var full strings.Builder
	printReport(&full, made)
	return errors.Join(
		splice("README.md", "compare", full.String()),
		splice("../README.md", "compare", short),
	)
}

// shortGrowth checks P10 in a second or two; -grow checks it with ten million messages.
func shortGrowth(ctx context.Context, env *b.Env, o *options) ([]b.Interval, error) {
	messages := 200_000
	if o.quick {
		messages = 20_000
	}
	return b.Grow(ctx, env, messages, messages, 10)
}
