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
	a, err := start(ctx, o, s, stdout, stderr)
	if err != nil {
		return err
	}
	defer a.end()

	longest := o.timeout + patience
	ordering, cancel := context.WithTimeout(a.ctx, longest)
	defer cancel()
	c := newClient(a.url, a.telemetry.provider(clientService))
	done, id, err := c.order(ordering, &sample, o.timeout)
	// The answer has arrived, but the last spans may still be open.
	t := a.telemetry.spans.wait(ordering, id)
	fmt.Fprint(stdout, s.render(t))

	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case a.ctx.Err() != nil:
		return context.Cause(a.ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("timed out after %s: %w", longest, err)
	case err != nil:
		return err
	}
	if err := whole(o, t, done); err != nil {
		return err
	}
	fmt.Fprintln(stdout)
	for _, line := range epilogue {
		a.print(line)
	}
	if o.svg != "" {
		return writePictures(o.svg, t)
	}
	return nil
}

// epilogue is what the program says at the end.
var epilogue = []string{
	"The report has all its parts: " + strings.Join(partNames, ", ") + ".",
	"For more, see -help and -serve.",
}

// whole returns an error that says what is missing in the trace and in the report.
func whole(o *options, t *collected, r *report) error {
	publish := "publish"
	if len(o.redis) > 1 {
		publish = "spublish"
	}
	var problems []string
	if absent := missing(t.spans, publish); len(absent) > 0 {
		problems = append(problems, "missing in the trace: "+strings.Join(absent, ", "))
	}
	if !r.complete() { // the API has waited for it as long as it was told to
		problems = append([]string{fmt.Sprintf("timed out after %s (-timeout)", o.timeout)}, problems...)
		problems = append(problems, "missing in the report: "+strings.Join(r.Missing, ", "))
	}
	if len(problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(problems, "; "))
}

// quiet is how long no span of a trace must have been open until the trace counts as
// finished.
const quiet = 250 * time.Millisecond

// serve runs the application until ctx is canceled, and prints each trace.
func serve(ctx context.Context, o *options, s screen, stdout, stderr io.Writer) error {
	a, err := start(ctx, o, s, stdout, stderr)
	if err != nil {
		return unless(ctx.Err() != nil, err)
	}
	if o.role != roleAll {
		a.print("Traces show the spans of this process. To see whole traces, give all")
		a.print("processes -otlp and the same backend.")
	}
	if a.url != "" {
		fmt.Fprint(stdout, toTry(a.url))
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

// toTry returns a command that orders a report. It is not shortened for narrow terminals, since
// half a command is of no use.
func toTry(url string) string {
	// An API that listens on all addresses cannot be reached under that name everywhere.
	for _, all := range []string{"//[::]:", "//0.0.0.0:"} {
		url = strings.Replace(url, all, "//localhost:", 1)
	}
	return "\nTry:\n  curl " + url + "/reports \\\n    -d '" + sampleJSON + "'\n"
}

// unless returns err, unless the program was interrupted, which is not a failure.
func unless(interrupted bool, err error) error {
	if interrupted {
		return nil
	}
	return err
}
