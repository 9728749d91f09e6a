// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"
)

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-redis", "a:1, b:2,c:3"})
	if err != nil {
		t.Fatal(err)
	}
	if !o.order || o.addr != "127.0.0.1:0" || len(o.redis) != 3 || o.redis[1] != "b:2" || len(o.parts) != 4 || o.otlp.set {
		t.Errorf("for one report on a cluster: %+v", o)
	}
	o, err = parseOptions([]string{"-serve", "-part", "pdf,chart"})
	if err != nil {
		t.Fatal(err)
	}
	if o.order || o.addr != "127.0.0.1:8080" || o.redis != nil || len(o.parts) != 2 || o.parts[0] != "pdf" {
		t.Errorf("to serve: %+v", o)
	}
}

func TestEndpoint(t *testing.T) {
	for _, tt := range []struct {
		flag string
		set  bool
		url  string
	}{
		{"-otlp", true, ""},
		{"-otlp=false", false, ""},
		{"-otlp=localhost:4318", true, "http://localhost:4318/v1/traces"},
		{"-otlp=https://otel.example/", true, "https://otel.example/v1/traces"},
		{"-otlp=https://otel.example/tenant/v1/traces", true, "https://otel.example/tenant/v1/traces"},
	} {
		o, err := parseOptions([]string{tt.flag})
		if err != nil || o.otlp.set != tt.set || o.otlp.url != tt.url {
			t.Errorf("%s: %+v, %v; want %v and %q", tt.flag, o, err, tt.set, tt.url)
		}
	}
}

func TestEndpointInTheEnvironment(t *testing.T) {
	for _, tt := range []struct {
		value string
		env   bool
	}{
		{"", false},
		{" ", false}, // as the exporter sees it
		{"http://localhost:4318", true},
		{" https://otel.example/tenant ", true},
	} {
		for _, name := range endpointVariables {
			t.Run(name+"="+tt.value, func(t *testing.T) {
				t.Setenv(name, tt.value)
				o, err := parseOptions(nil)
				if err != nil || o.otlp.env != tt.env {
					t.Errorf("%+v, %v; want %v", o, err, tt.env)
				}
			})
		}
	}
}

var (
	composeCommand = regexp.MustCompile(`(?m)^ +command: (\[.*\])$`)
	composeRedis   = regexp.MustCompile(`(?m)^ +REDIS_ADDR: (\S+)$`)
)

// The commands in compose.yaml are ones that the program takes: there is an API,
// a worker for each part, and a logger.
func TestCompose(t *testing.T) {
	text, err := os.ReadFile("../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	redis := composeRedis.FindSubmatch(text)
	if redis == nil {
		t.Fatal("compose.yaml does not set REDIS_ADDR")
	}
	t.Setenv("REDIS_ADDR", string(redis[1]))
	services := map[string]int{}
	for _, m := range composeCommand.FindAllSubmatch(text, -1) {
		var args []string
		if err := json.Unmarshal(m[1], &args); err != nil {
			t.Fatalf("%s: %v", m[1], err)
		}
		o, err := parseOptions(args)
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		name := o.role
		if o.role == roleWorker && len(o.parts) == 1 {
			name = workerService(o.parts[0])
		}
		services[name]++
	}
	for _, want := range []string{"api", "logger", "worker-summary", "worker-chart", "worker-table", "worker-pdf"} {
		if services[want] != 1 {
			t.Errorf("%d of %s in compose.yaml, want 1", services[want], want)
		}
	}
}
