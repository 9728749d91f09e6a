// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func TestMissing(t *testing.T) {
	whole := []made{
		{1, 0, "order a report", "client", internal, 0, 9, ""},
		{2, 1, "HTTP POST", "client", trace.SpanKindClient, 0, 9, ""},
		{3, 2, "POST /reports", "api", server, 0, 9, ""},
		{4, 3, "publish reports", "api", producer, 0, 9, ""},
		{5, 4, "process reports", "worker-summary", consumer, 0, 9, ""},
		{6, 4, "process reports", "worker-chart", consumer, 0, 9, ""},
		{7, 4, "process reports", "worker-table", consumer, 0, 9, ""},
		{8, 4, "process reports", "worker-pdf", consumer, 0, 9, ""},
	}
	for _, tt := range []struct {
		name   string
		change func(spans []made) []made
		want   string
	}{
		{"nothing", func(s []made) []made { return s }, ``},
		{"everything", func([]made) []made { return nil }, `"order a report" (client); "POST /reports" (api); "publish reports" (api); ` +
			`"process reports" (worker-summary); "process reports" (worker-chart); "process reports" (worker-table); "process reports" (worker-pdf)`},
		{"one worker", func(s []made) []made { return s[:7] }, `"process reports" (worker-pdf)`},
		{"the publish alone: what is below it is there", func(s []made) []made { return append(s[:3], s[4:]...) }, `"publish reports" (api)`},
		{"a worker twice is not two workers", func(s []made) []made { s[7].service = "worker-table"; return s }, `"process reports" (worker-pdf)`},
		{"a worker beside the publish, not below it", func(s []made) []made { s[7].parent = 3; return s }, `"process reports" (worker-pdf)`},
		{"the parent of a worker is not here", func(s []made) []made { s[7].parent = 99; return s }, `"process reports" (worker-pdf)`},
		{"another kind", func(s []made) []made { s[3].kind = internal; return s }, `"publish reports" (api)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(missing(madeTrace(tt.change(append([]made(nil), whole...))...).spans, "publish"), "; ")
			if got != tt.want {
				t.Errorf("missing is %s, want %s", got, tt.want)
			}
		})
	}
}
