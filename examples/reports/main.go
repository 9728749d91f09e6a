// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Reports is an application whose parts talk to each other over Redis Pub/Sub:
// an HTTP API takes the order for a report and publishes it, four workers
// receive it, and each makes one part of the report. All of it is one trace.
//
// Without arguments it runs everything in one process, with a Redis of its own, orders
// one report, and prints the trace as a tree. See reports -help for the options.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9/logging"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	logging.Disable()            // go-redis also logs the errors that it returns
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// run is the program. It returns the exit code when all services have ended.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseOptions(args)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, usage)
		return exitDone
	case err != nil:
		fmt.Fprintf(stderr, "reports: %s (see reports -help)\n", oneLine(err.Error()))
		return exitUsage
	}

	// Several goroutines print.
	screen := screenOf(stdout)
	stdout, stderr = &lockedWriter{w: stdout}, &lockedWriter{w: stderr}
	if opts.order {
		err = orderOne(ctx, opts, screen, stdout, stderr)
	} else {
		err = serve(ctx, opts, screen, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "reports: %s\n", oneLine(err.Error()))
		return exitFailed
	}
	return exitDone
}

// oneLine joins the lines of a message.
func oneLine(s string) string {
	return printable(strings.ReplaceAll(strings.TrimSpace(s), "\n", "; "))
}
