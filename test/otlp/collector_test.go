// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
)

// collector accepts what exporters send, and keeps it.
type collector struct {
	mu      sync.Mutex
	traces  []*tracepb.ExportTraceServiceRequest
	metrics []*metricspb.ExportMetricsServiceRequest
}

func (c *collector) addTraces(r *tracepb.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.traces = append(c.traces, r)
}

func (c *collector) addMetrics(r *metricspb.ExportMetricsServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.metrics = append(c.metrics, r)
}

// spanNames returns the names of all spans that have arrived, sorted.
func (c *collector) spanNames() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.traces {
		for _, resource := range request.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					names = append(names, span.GetName())
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// metricNames returns the names of the metrics of each request that has arrived, sorted.
func (c *collector) metricNames() (requests [][]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.metrics {
		var names []string
		for _, resource := range request.GetResourceMetrics() {
			for _, scope := range resource.GetScopeMetrics() {
				for _, metric := range scope.GetMetrics() {
					names = append(names, metric.GetName())
				}
			}
		}
		slices.Sort(names)
		requests = append(requests, names)
	}
	return requests
}

// texts returns every string of the spans and of the metrics that have arrived.
func (c *collector) texts(t *testing.T) (spans, metrics []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.traces {
		spans = append(spans, textsOf(t, request)...)
	}
	for _, request := range c.metrics {
		metrics = append(metrics, textsOf(t, request)...)
	}
	return spans, metrics
}

func textsOf(t *testing.T, m proto.Message) (texts []string) {
	t.Helper()
	err := protorange.Range(m.ProtoReflect(), func(at protopath.Values) error {
		if text, ok := at.Index(-1).Value.Interface().(string); ok {
			texts = append(texts, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// ServeHTTP accepts requests of OTLP over HTTP.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/v1/traces"):
		request := new(tracepb.ExportTraceServiceRequest)
		if err = proto.Unmarshal(body, request); err == nil {
			c.addTraces(request)
		}
	case strings.HasSuffix(r.URL.Path, "/v1/metrics"):
		request := new(metricspb.ExportMetricsServiceRequest)
		if err = proto.Unmarshal(body, request); err == nil {
			c.addMetrics(request)
		}
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// serveHTTP starts a server for OTLP over HTTP, and returns its host and port.
func (c *collector) serveHTTP(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

type traceService struct {
	tracepb.UnimplementedTraceServiceServer
	*collector
}

func (s traceService) Export(_ context.Context, r *tracepb.ExportTraceServiceRequest) (*tracepb.ExportTraceServiceResponse, error) {
	s.addTraces(r)
	return new(tracepb.ExportTraceServiceResponse), nil
}

type metricsService struct {
	metricspb.UnimplementedMetricsServiceServer
	*collector
}

func (s metricsService) Export(_ context.Context, r *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error) {
	s.addMetrics(r)
	return new(metricspb.ExportMetricsServiceResponse), nil
}

// serveGRPC starts a server for OTLP over gRPC, and returns its host and port.
func (c *collector) serveGRPC(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	tracepb.RegisterTraceServiceServer(server, traceService{collector: c})
	metricspb.RegisterMetricsServiceServer(server, metricsService{collector: c})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("the collector: %v", err)
		}
	})
	return listener.Addr().String()
}
