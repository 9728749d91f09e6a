// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Compare compares tracedpubsub with other ways to publish and receive, and reports which of
// the project's performance targets are met.
//
// It starts a redis-server, ties it and itself to one core, and lets the variants take turns
// in random order, for several rounds. It prints the ratios within a round: their median and
// quartiles. It writes the numbers as JSON and as a picture. See compare -help.
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
	docs     bool
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
	flags.StringVar(&o.out, "out", "", "the folder for JSON and SVG (results; with -quick a temporary one)")
	flags.BoolVar(&o.docs, "docs", false, "put the tables into README.md and ../README.md")
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
	case o.grow && o.scale:
		return errors.New("either -grow or -scale")
	case o.docs && o.quick:
		return errors.New("-quick is not for the documentation")
	case o.out == "" && o.quick:
		o.out, err = os.MkdirTemp("", "compare-")
	case o.out == "":
		o.out = "results"
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
	case o.grow:
		return growing(ctx, o, stdout)
	case o.scale:
		return scaling(ctx, o, stdout)
	default:
		return comparing(ctx, o, stdout)
	}
}
