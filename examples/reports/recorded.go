// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// recorded are the times of the spans of one run, in microseconds from its beginning. With
// them, each run draws the same pictures.
var recorded = map[spanName]struct{ start, took time.Duration }{
	{clientService, "order a report"}:     {0, 5697},
	{clientService, "HTTP POST"}:          {64, 1980},
	{apiService, "POST /reports"}:         {418, 1454},
	{apiService, "publish reports"}:       {1055, 767},
	{"worker-table", "process reports"}:   {1262, 2773},
	{"worker-table", "make table"}:        {1278, 9},
	{"worker-table", "store table"}:       {1291, 2737},
	{"worker-chart", "process reports"}:   {1294, 2820},
	{"worker-chart", "make chart"}:        {1308, 4},
	{"worker-chart", "store chart"}:       {1378, 2736},
	{"worker-pdf", "process reports"}:     {1487, 2700},
	{"worker-pdf", "make pdf"}:            {1505, 91},
	{"worker-pdf", "store pdf"}:           {1599, 2588},
	{"worker-summary", "process reports"}: {1734, 2252},
	{"worker-summary", "make summary"}:    {1745, 2},
	{"worker-summary", "store summary"}:   {1749, 2235},
	{clientService, "HTTP GET"}:           {2374, 3293},
	{apiService, "GET /reports/{id}"}:     {4077, 1478},
}

type spanName struct{ service, name string }

// recordedID is the trace ID in the examples of the W3C.
var recordedID = trace.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36}

// atRecordedTimes returns the trace with the recorded times and ID. It returns an error if the
// trace has other spans than the recorded one.
func (t *collected) atRecordedTimes() (*collected, error) {
	begin := time.Unix(0, 0)
	stubs := tracetest.SpanStubsFromReadOnlySpans(t.spans)
	for i, s := range t.spans {
		times, ok := recorded[spanName{serviceOf(s), s.Name()}]
		if !ok {
			return nil, fmt.Errorf("there is no recorded time for %q (%s)", s.Name(), serviceOf(s))
		}
		stubs[i].StartTime = begin.Add(times.start * time.Microsecond)
		stubs[i].EndTime = stubs[i].StartTime.Add(times.took * time.Microsecond)
	}
	if len(stubs) != len(recorded) {
		return nil, fmt.Errorf("the trace has %d spans, and the recorded one %d", len(stubs), len(recorded))
	}
	return &collected{id: recordedID, spans: stubs.Snapshots()}, nil
}
