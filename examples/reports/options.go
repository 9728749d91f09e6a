// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

const usage = `Reports is an HTTP API and four workers that talk to each other over Redis
Pub/Sub.

  reports [flags]          all of it in one process: order one report, print
                           its trace, and exit
  reports -serve [flags]   all of it in one process, until Ctrl-C; print each
                           trace as it finishes
  reports api [flags]      the API alone
  reports worker [flags]   the workers alone, or with -part one of them
  reports logger [flags]   the subscriber of best-channel-ever alone

  -redis ADDR[,ADDR…]   the Redis server, or several nodes of a cluster, on
                        which the messages go through sharded channels
                        (REDIS_ADDR; without it a Redis in this process)
  -addr ADDR            where the API listens (127.0.0.1:8080; for one report
                        any free port)
  -part PART[,PART…]    which workers to run: summary, chart, table, pdf (all;
                        one report needs all)
  -otlp[=URL]           send the traces to this OTLP backend as well
                        (http://localhost:4318; the standard variables
                        OTEL_EXPORTER_OTLP_… do, too)
  -timeout DURATION     how long one report may take (10s)
  -svg DIR              also draw the trace of one report, and what the program
                        prints of it, as SVG files; the times in them are those
                        of a recorded run

The API:

  curl localhost:8080/reports \
    -d '` + sampleJSON + `'
  curl localhost:8080/reports/ID?wait=5s
  curl localhost:8080/pub?any=thing
`

// A role is a part of the application that may be a process of its own. All parts together
// are a role, too.
const (
	roleAll    = ""
	roleAPI    = "api"
	roleWorker = "worker"
	roleLogger = "logger"
)

type options struct {
	role    string
	order   bool     // make one order and exit
	redis   []string // none: a Redis in this process
	addr    string
	parts   []string
	otlp    endpoint
	timeout time.Duration
	svg     string // a folder for pictures, or ""
}

func (o *options) runs(role string) bool { return o.role == roleAll || o.role == role }

var errHelp = flag.ErrHelp

func parseOptions(args []string) (*options, error) {
	o := &options{}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		o.role, args = args[0], args[1:]
		if !slices.Contains([]string{roleAPI, roleWorker, roleLogger}, o.role) {
			return nil, fmt.Errorf("there is no role %q", o.role)
		}
	}

	// Each role has only the flags that it uses.
	flags := flag.NewFlagSet("reports", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var serve bool
	var addr, parts, redis string
	flags.StringVar(&redis, "redis", os.Getenv("REDIS_ADDR"), "")
	flags.Var(&o.otlp, "otlp", "")
	if o.runs(roleAPI) {
		flags.StringVar(&addr, "addr", "", "")
	}
	if o.runs(roleWorker) {
		flags.StringVar(&parts, "part", "", "")
	}
	if o.role == roleAll {
		flags.BoolVar(&serve, "serve", false, "")
		flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "")
		flags.StringVar(&o.svg, "svg", "", "")
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if err := o.check(flags.Args()); err != nil {
		return nil, err
	}
	o.order = o.role == roleAll && !serve
	if serve && o.svg != "" {
		return nil, errors.New("-svg draws the trace of one report, and does not go with -serve")
	}
	if o.order && parts != "" {
		return nil, errors.New("-part is for -serve and for worker: one report needs all parts")
	}
	o.addr = o.addrOr(addr)

	err := o.otlp.readEnvironment()
	if err != nil {
		return nil, err
	}
	if o.redis, err = parseRedis(o.role, redis); err != nil {
		return nil, err
	}
	o.parts, err = parseParts(parts)
	return o, err
}

// check checks the combination of the flags.
func (o *options) check(rest []string) error {
	switch {
	case o.otlp.err != nil:
		return o.otlp.err
	case len(rest) > 0 && o.otlp.set && o.otlp.url == "":
		return fmt.Errorf("unexpected argument %q; a backend is given with an equals sign, -otlp=URL", rest[0])
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.role == roleAll && (o.timeout <= 0 || o.timeout > mostWait):
		return fmt.Errorf("-timeout must be more than 0s and at most %s", mostWait)
	}
	return nil
}

// addrOr returns addr, or the default address of the API.
func (o *options) addrOr(addr string) string {
	switch {
	case addr != "":
		return addr
	case o.order:
		return "127.0.0.1:0"
	}
	return "127.0.0.1:8080"
}

func parseRedis(role, s string) ([]string, error) {
	if s == "" {
		if role != roleAll {
			return nil, fmt.Errorf("%s needs the address of a Redis, for example -redis 127.0.0.1:6379", role)
		}
		return nil, nil
	}
	addrs := strings.Split(s, ",")
	for i, addr := range addrs {
		if addrs[i] = strings.TrimSpace(addr); addrs[i] == "" {
			return nil, fmt.Errorf("an address is empty in -redis %q", s)
		}
	}
	return addrs, nil
}

func parseParts(s string) ([]string, error) {
	if s == "" {
		return partNames, nil
	}
	parts := strings.Split(s, ",")
	for i, name := range parts {
		if !slices.Contains(partNames, name) {
			return nil, fmt.Errorf("there is no part %q", name)
		}
		if slices.Contains(parts[:i], name) {
			return nil, fmt.Errorf("part %q is named twice", name)
		}
	}
	return parts, nil
}
