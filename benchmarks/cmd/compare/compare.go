// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
		fmt.Fprintf(stdout, "%s\n%s", reportText(made), summaryTable(checks))
		return errors.Join(writeJSON(o.path("compare.json"), made), render(o, made))
	})
}

func (o *options) path(name string) string { return filepath.Join(o.out, name) }

// image returns where a picture is written to: among the documents of the project, if the
// results are those of the project.
func (o *options) image(name string) string {
	if o.out == projectResults {
		return filepath.Join("..", "docs", "images", name)
	}
	return o.path(name)
}

// render writes a report as a page of tables, and draws it.
func render(o *options, r *report) error {
	return errors.Join(
		writePage(o.path("compare.md"), "Compared with alternatives", reportText(r)),
		writePictures(o.image, r),
	)
}

// rendering renders the results of an earlier run.
func rendering(o *options) error {
	text, err := os.ReadFile(o.path("compare.json"))
	if err != nil {
		return err
	}
	r := new(report)
	if err := json.Unmarshal(text, r); err != nil {
		return fmt.Errorf("%s: %w", o.path("compare.json"), err)
	}
	return render(o, r)
}

// shortGrowth checks in a second or two that cost does not grow; -grow checks it with ten million messages.
func shortGrowth(ctx context.Context, env *b.Env, o *options) ([]b.Interval, error) {
	messages := 200_000
	if o.quick {
		messages = 20_000
	}
	return b.Grow(ctx, env, messages, messages, 10)
}
