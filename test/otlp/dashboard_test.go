// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
)

// dashboard is what a test needs of docs/dashboards/tracedpubsub.json.
type dashboard struct {
	Panels []struct {
		Title, Type string
		Targets     []struct{ Expr, LegendFormat string }
	}
	Templating struct {
		List []struct {
			Name, Type string
			Query      any // with an expression, if Type is query
		}
	}
}

func readDashboard(t *testing.T) *dashboard {
	t.Helper()
	text, err := os.ReadFile("../../docs/dashboards/tracedpubsub.json")
	if err != nil {
		t.Fatal(err)
	}
	d := new(dashboard)
	if err := json.Unmarshal(text, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The dashboard uses the metrics and labels that Prometheus has of this library, and leaves no
// metric out.
func TestDashboard(t *testing.T) {
	series := recordedSeries(t)
	d := readDashboard(t)
	used := make(map[string]bool)
	for _, panel := range d.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("panel %q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			q := checkQuery(t, series, target.Expr)
			for _, label := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(q.kept, label[1]) {
					t.Errorf("panel %q names its lines by %s, which %s does not keep", panel.Title, label[1], target.Expr)
				}
			}
			for _, name := range q.metrics {
				used[name] = true
			}
		}
	}
	checkVariables(t, series, d)
	for name, s := range series {
		parts := []string{name}
		if s.histogram {
			parts = []string{name + "_bucket", name + "_count", name + "_sum"}
		}
		if !slices.ContainsFunc(parts, func(part string) bool { return used[part] }) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

var (
	legend      = regexp.MustCompile(`\{\{(\w+)\}\}`)
	labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
)

// checkVariables checks the queries for the values that a user chooses from.
func checkVariables(t *testing.T, series map[string]*recorded, d *dashboard) {
	t.Helper()
	var queries int
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		queries++
		text, _ := v.Query.(map[string]any)["query"].(string)
		m := labelValues.FindStringSubmatch(text)
		if m == nil {
			t.Errorf("variable %s has the query %q", v.Name, text)
			continue
		}
		for _, name := range checkQuery(t, series, m[1]).metrics {
			assertLabel(t, series, name, m[2])
		}
	}
	if queries == 0 {
		t.Error("there are no variables with a query")
	}
}

// query is what an expression is about.
type query struct {
	metrics []string
	kept    []string // the labels of the result
}

// macros have the values that Grafana puts in place of them.
var macros = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h")

// checkQuery checks the syntax of an expression, its metrics and their labels.
func checkQuery(t *testing.T, series map[string]*recorded, text string) (q query) {
	t.Helper()
	expression, err := metricsql.Parse(macros.Replace(text))
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return q
	}
	metricsql.VisitAll(expression, func(e metricsql.Expr) {
		switch e := e.(type) {
		case *metricsql.MetricExpr:
			q.metrics = append(q.metrics, checkSelector(t, series, e)...)
		case *metricsql.AggrFuncExpr: // what is in it was visited before
			q.kept = e.Modifier.Args
			for _, label := range q.kept {
				for _, name := range q.metrics {
					assertLabel(t, series, name, label)
				}
			}
		}
	})
	if len(q.metrics) == 0 {
		t.Errorf("%s has no metric", text)
	}
	return q
}

// checkSelector returns the metrics of a selector.
func checkSelector(t *testing.T, series map[string]*recorded, e *metricsql.MetricExpr) (names []string) {
	t.Helper()
	for _, filters := range e.LabelFilterss {
		for _, filter := range filters {
			if filter.Label == "__name__" {
				names = strings.Split(filter.Value, "|")
				continue
			}
			for _, name := range names { // the name comes first
				assertLabel(t, series, name, filter.Label)
			}
		}
	}
	return names
}

// assertLabel asserts that there is a metric, and that it has a label.
func assertLabel(t *testing.T, series map[string]*recorded, name, label string) {
	t.Helper()
	s, isBucket := series[name], false
	if s == nil {
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			base, cut := strings.CutSuffix(name, suffix)
			if found := series[base]; cut && found != nil && found.histogram {
				s, isBucket = found, suffix == "_bucket"
			}
		}
	} else if s.histogram {
		s = nil // Prometheus has it only with a suffix
	}
	switch {
	case s == nil:
		t.Errorf("no metric is called %s; there are %v", name, slices.Sorted(maps.Keys(series)))
	case label == "job" || label == "le" && isBucket: // of the resource, and of histograms
	case !s.labels[label]:
		t.Errorf("%s has no label %s, but %v", name, label, slices.Sorted(maps.Keys(s.labels)))
	}
}
