// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// orderOne runs the application, orders one report, and prints its trace.
func orderOne(ctx context.Context, o *options, s screen, stdout, stderr io.Writer) error {
	a, err := start(ctx, o, stdout, stderr)
	if err != nil {
		return err
	}
	defer a.end()

	ordering, cancel := context.WithTimeout(a.ctx, o.timeout+patience)
	defer cancel()
	c := newClient(a.url, a.telemetry.provider(clientService))
	done, id, err := c.order(ordering, &sample, o.timeout)
	// The answer has arrived, but the last spans may still be open.
	t := a.telemetry.spans.wait(ordering, id)
	fmt.Fprint(stdout, s.render(t))

	publish := "publish"
	if len(o.redis) > 1 {
		publish = "spublish"
	}
	absent := missing(t.spans, publish)
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case a.ctx.Err() != nil:
		return context.Cause(a.ctx)
	case err != nil:
		return err
	case len(absent) > 0:
		return fmt.Errorf("missing in the trace: %s", strings.Join(absent, ", "))
	case !done.complete():
		return fmt.Errorf("missing in the report: %s", strings.Join(done.Missing, ", "))
	}
	fmt.Fprintf(stdout, "\nThe report has all its parts: %s. For more, see -help and -serve.\n", strings.Join(partNames, ", "))
	return nil
}

// quiet is how long no span of a trace must have been open until the trace counts as
// finished.
const quiet = 250 * time.Millisecond

// serve runs the application until ctx is canceled, and prints each trace.
func serve(ctx context.Context, o *options, s screen, stdout, stderr io.Writer) error {
	a, err := start(ctx, o, stdout, stderr)
	if err != nil {
		return unless(ctx.Err() != nil, err)
	}
	if o.role != roleAll {
		fmt.Fprintln(stdout, "Traces show the spans of this process; to see whole ones, give every process -otlp and the same backend.")
	}
	ending, end := context.WithCancel(context.Background())
	var printing sync.WaitGroup
	printing.Go(func() {
		a.telemetry.spans.each(ending, quiet, func(t *collected) { fmt.Fprint(stdout, s.render(t)) })
	})
	<-a.ctx.Done()
	err = context.Cause(a.ctx)
	a.end()
	end()
	printing.Wait()
	return unless(ctx.Err() != nil, err)
}

// unless returns err, unless the program was interrupted, which is not a failure.
func unless(interrupted bool, err error) error {
	if interrupted {
		return nil
	}
	return err
}
