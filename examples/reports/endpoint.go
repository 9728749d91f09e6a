// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
)

// endpoint is the value of -otlp, a flag whose value may be left out.
type endpoint struct {
	set bool
	env bool   // the environment has the URL of a backend
	url string // "": the URL of the environment
	err error  // kept here, as the flag package would report an invalid boolean
}

func (e *endpoint) IsBoolFlag() bool { return true }

func (e *endpoint) String() string { return e.url }

func (e *endpoint) Set(s string) error {
	e.set, e.url = s != "false", ""
	if s == "true" || s == "false" {
		return nil
	}
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	var u *url.URL
	if u, e.err = parseEndpoint("-otlp", s); e.err != nil {
		return nil
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	e.url = u.String()
	return nil
}

// endpointVariables are the standard variables with the URL of a backend.
var endpointVariables = []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}

// readEnvironment finds out whether the environment has the URL of a backend, and checks it.
// It does so even if -otlp=URL overrides it: the exporter reads it in any case, and would
// only log an error and send the traces elsewhere.
func (e *endpoint) readEnvironment() error {
	for _, name := range endpointVariables {
		s := strings.TrimSpace(os.Getenv(name)) // as the exporter does
		if s == "" {
			continue
		}
		if _, err := parseEndpoint(name, s); err != nil {
			return err
		}
		e.env = true
	}
	return nil
}

// parseEndpoint parses the value of the flag or variable called name.
func parseEndpoint(name, s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s=%s is not a URL like http://localhost:4318", name, s)
	}
	return u, nil
}

// options returns the options of the exporter that do not come from the environment.
func (e *endpoint) options() []otlptracehttp.Option {
	switch {
	case e.url != "":
		return []otlptracehttp.Option{otlptracehttp.WithEndpointURL(e.url)}
	case !e.env:
		return []otlptracehttp.Option{otlptracehttp.WithInsecure()} // localhost
	}
	return nil
}
