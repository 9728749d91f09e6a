// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Compare compares tracedpubsub with other ways to publish and receive, and reports which of
// the project's performance targets are met.
//
// It starts a redis-server, ties it and itself to one core, and lets the variants take turns
// in random order, for several rounds. It prints the ratios within a round: their median and
// quartiles. It writes the numbers as JSON, as a page of tables, and as the picture that is in
// the README of the project. See compare -help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	logging.Disable()            // go-redis also logs the errors that it returns
	if err := program(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// options are the options of the command line.
type options struct {
	quick    bool
	time     time.Duration
	rounds   int
	out      string
	render   bool
	grow     bool
	messages int
	channels int
	scale    bool

	command string // as it was typed
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := new(options)
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.quick, "quick", false, "ten seconds in place of a minute: to see that all of it works")
	flags.DurationVar(&o.time, "time", 0, "what all rounds may take together (40s; with -quick 3s)")
	flags.IntVar(&o.rounds, "rounds", 0, "how many rounds (15; with -quick 3)")
	flags.StringVar(&o.out, "out", "", "the folder for the results ("+projectResults+", with the pictures in ../docs/images; with -quick a temporary one)")
	flags.BoolVar(&o.render, "render", false, "measure nothing: make the tables and pictures of the comparison again from its JSON")
	flags.BoolVar(&o.grow, "grow", false, "in place of the comparison: does cost grow with messages, channels and subscriptions?")
	flags.IntVar(&o.messages, "messages", 10_000_000, "with -grow: how many messages")
	flags.IntVar(&o.channels, "channels", 1_000_000, "with -grow: how many channels")
	flags.BoolVar(&o.scale, "scale", false, "in place of the comparison: a cluster of 1, 2 and 3 shards")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.command = strings.Join(append([]string{"go run -C benchmarks ./cmd/compare"}, args...), " ")
	return o, o.complete()
}

// projectResults is the folder with the results that the documents of the project quote.
const projectResults = "results"

// complete sets the defaults that depend on -quick.
func (o *options) complete() (err error) {
	total, rounds := 40*time.Second, 15
	if o.quick {
		total, rounds = 3*time.Second, 3
	}
	if o.time == 0 {
		o.time = total
	}
	if o.rounds == 0 {
		o.rounds = rounds
	}
	switch {
	case o.time < 0 || o.rounds < 1 || o.messages < 1 || o.channels < 1:
		return errors.New("-time, -rounds, -messages and -channels are to be above zero")
	case o.grow && o.scale || o.render && (o.grow || o.scale || o.quick):
		return errors.New("only one of -grow, -scale and -render, and -render without -quick")
	case o.out == "" && o.quick:
		o.out, err = os.MkdirTemp("", "compare-")
	case o.out == "":
		o.out = projectResults
	}
	if err == nil {
		err = os.MkdirAll(o.out, 0o755)
	}
	return err
}

func program(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case o.render:
		return rendering(o)
	case o.grow:
		return growing(ctx, o, stdout)
	case o.scale:
		return scaling(ctx, o, stdout)
	default:
		return comparing(ctx, o, stdout)
	}
}
