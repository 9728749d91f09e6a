// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestBackend(t *testing.T) {
	t.Run("takes the trace of one report", func(t *testing.T) {
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
		backend := newBackend(t)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.url)
		p := startProgram(t)
		if code := p.wait(); code != exitDone {
			t.Errorf("exit code = %d, want %d", code, exitDone)
		}
		if got, want := backend.paths(), wholeTrace("publish"); !slices.Equal(got, want) {
			t.Errorf("the backend has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})

	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer refuses.Close()
	for _, tt := range []struct{ name, url string }{
		{"is away", "http://" + nobody},
		{"never answers", hangs.URL},
		{"refuses", refuses.URL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startProgram(t, "-otlp="+tt.url)
			if code := p.wait(); code != exitDone {
				t.Errorf("exit code = %d, want %d: the trace is printed all the same", code, exitDone)
			}
			got := p.stderr.String()
			if !strings.HasPrefix(got, "reports: the OTLP backend does not take the traces: ") || strings.Count(got, "\n") != 1 {
				t.Errorf("standard error = %q, want one line", got)
			}
		})
	}
}

// The environment is no less checked than the flag. The exporter would write to
// the standard error of the process, and so it takes one to see that it does not.
func TestBackendThatTheEnvironmentGetsWrong(t *testing.T) {
	for _, name := range endpointVariables {
		for _, tt := range []struct{ value, flag, why string }{
			{"::bad", "-timeout=5s", "no URL at all"},
			{"localhost:4318", "-timeout=5s", "a URL, but one whose scheme is localhost"},
			{"ftp://localhost", "-timeout=5s", "another scheme"},
			{"http://", "-timeout=5s", "no host"},
			{"::bad", "-otlp=http://" + nobody, "the exporter reads it all the same"},
		} {
			cmd := exec.CommandContext(t.Context(), os.Args[0], tt.flag)
			cmd.Env = append(os.Environ(), runsMain+"=1", name+"="+tt.value)
			got, err := cmd.CombinedOutput()
			want := "reports: " + name + "=" + tt.value + " is not a URL like http://localhost:4318 (see reports -help)\n"
			if code := cmd.ProcessState.ExitCode(); code != exitUsage || string(got) != want {
				t.Errorf("%s: exit code %d, %v, want %d; the output is\n%swant\n%s", tt.why, code, err, exitUsage, got, want)
			}
		}
	}
}

// A backend that stays away is reported once, not with every batch of spans.
func TestBackendIsAwayForLong(t *testing.T) {
	p := startProgram(t, "-serve", "-addr", "127.0.0.1:0", "-otlp=http://"+nobody)
	orderReport(t, p.url())
	p.stderr.waitFor(t, regexp.MustCompile(`reports: the OTLP backend does not take the traces: .*\n`))
	orderReport(t, p.url())
	p.stop() // sends the second batch
	if got := p.stderr.String(); strings.Count(got, "\n") != 1 {
		t.Errorf("standard error = %q, want one line", got)
	}
}

// backend takes spans as a tracing backend does, in OTLP's JSON.
type backend struct {
	url string

	mu    sync.Mutex
	spans map[string]received // by trace and span
}

type received struct {
	TraceID      string `json:"traceId"`
	SpanID       string `json:"spanId"`
	ParentSpanID string `json:"parentSpanId"`
	Name         string `json:"name"`
	service      string
}

func newBackend(t *testing.T) *backend {
	b := &backend{spans: make(map[string]received)}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ResourceSpans []struct {
			Resource struct {
				Attributes []struct {
					Key   string
					Value struct{ StringValue string }
				}
			}
			ScopeSpans []struct{ Spans []received }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "not traces in JSON", http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, resource := range body.ResourceSpans {
		var service string
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.StringValue
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				s.service = service
				b.spans[s.TraceID+s.SpanID] = s
			}
		}
	}
}

// paths returns each span behind its parents, sorted.
func (b *backend) paths() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var paths []string
	for _, s := range b.spans {
		path := s.Name + " of " + s.service
		for parent := s.ParentSpanID; parent != ""; {
			above, ok := b.spans[s.TraceID+parent]
			if !ok {
				path = "nobody > " + path
				break
			}
			path = above.Name + " of " + above.service + " > " + path
			parent = above.ParentSpanID
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}
