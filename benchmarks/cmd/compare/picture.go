// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"html"
	"os"
	"strings"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
)

// theme has the colors of a picture: one is shown on a light page, the other on a dark one.
type theme struct {
	name                  string
	text, muted           string
	ours, oursUnsampled   string
	other, otherUnsampled string
}

var themes = []theme{
	{"light", "#1f2328", "#59636e", "#0969da", "#8cbdf5", "#818b98", "#ccd3da"},
	{"dark", "#f0f6fc", "#9198a1", "#4493f8", "#24548f", "#7d8590", "#434b54"},
}

// pictured are the variants in the picture, from top to bottom. Those that make no span for a
// received message are not compared there.
var pictured = []struct {
	variant, label, note string
	publishOnly          bool
}{
	{b.Raw, "go-redis alone", "no spans, no context", false},
	{b.Floor, "bare spans", "the least that spans cost", false},
	{b.Library, "tracedpubsub", "", false},
	{b.Tutorial, "by hand", "with encoding/json", false},
	{b.Redisotel, "redisotel", "carries no context", true},
	{b.Rueidisotel, "rueidisotel", "another client; no context", true},
}

// The picture, in pixels.
const (
	pictureWidth = 720
	labelsAt     = 4
	rowsAt       = 88
	rowHeight    = 40
	barHeight    = 12
	barsWidth    = 190 // of the longest bar
)

// panels are the two halves of the picture: where they begin, and what they compare.
var panels = []struct {
	at       float64
	scenario *b.Scenario
	title    string
}{
	{188, b.Publish, "Publish"},
	{466, b.Receive, "Receive"},
}

// writePictures draws what publishing and receiving cost, as SVG for both themes.
func writePictures(path func(name string) string, r *report) error {
	for _, t := range themes {
		d := &drawing{theme: t, report: r}
		if err := d.draw(); err != nil {
			return err
		}
		if err := os.WriteFile(path("cost-"+t.name+".svg"), []byte(d.svg.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// drawing is a picture that is being drawn.
type drawing struct {
	theme
	report *report
	svg    strings.Builder
}

func (d *drawing) draw() error {
	bottom := rowsAt + rowHeight*len(pictured)
	fmt.Fprintf(&d.svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" font-family="sans-serif" font-size="13">`+"\n",
		pictureWidth, bottom+50)
	d.svg.WriteString("<title>CPU time of publishing and receiving a message, compared with go-redis alone</title>\n")
	d.words(labelsAt, 18, d.text, `font-size="15" font-weight="bold"`, "CPU time of one message, compared with go-redis alone")
	d.legend()
	for i, row := range pictured {
		y := float64(rowsAt + rowHeight*i)
		weight := ""
		if row.variant == b.Library {
			weight = `font-weight="bold"`
		}
		if row.note == "" {
			d.words(labelsAt, y+18, d.text, weight, row.label)
			continue
		}
		d.words(labelsAt, y+11, d.text, weight, row.label)
		d.words(labelsAt, y+26, d.muted, `font-size="11"`, row.note)
	}
	for _, p := range panels {
		if err := d.panel(p.at, float64(bottom), p.scenario, p.title); err != nil {
			return err
		}
	}
	m := d.report.Machine
	d.words(labelsAt, float64(bottom)+20, d.muted, `font-size="11"`,
		fmt.Sprintf("A text of 64 bytes, %s. Medians of %d rounds; the lines are from quartile to quartile.", m.Pinned, d.report.Rounds))
	d.words(labelsAt, float64(bottom)+36, d.muted, `font-size="11"`,
		fmt.Sprintf("The halves have scales of their own. %s, %s, Redis %s, go-redis %s.", m.CPU, strings.Replace(m.Go, "go", "Go ", 1), m.Redis, m.Versions["github.com/redis/go-redis/v9"]))
	d.svg.WriteString("</svg>\n")
	return nil
}

func (d *drawing) legend() {
	for _, item := range []struct {
		x                 float64
		ours, other, text string
	}{
		{labelsAt, d.ours, d.other, "spans recorded and exported"},
		{labelsAt + 250, d.oursUnsampled, d.otherUnsampled, "spans not sampled"},
	} {
		d.bar(item.x, 31, barHeight, item.ours)
		d.bar(item.x+barHeight+2, 31, barHeight, item.other)
		d.words(item.x+2*barHeight+10, 41, d.muted, "", item.text)
	}
}

// panel draws the bars of a scenario, and a line where go-redis alone is.
func (d *drawing) panel(at, bottom float64, scenario *b.Scenario, title string) error {
	most := 0.0
	for _, row := range pictured {
		if m, err := d.find(scenario, row.variant, b.Sampled); err == nil && !(row.publishOnly && scenario == b.Receive) {
			most = max(most, 1/m.Speed.Lower)
		}
	}
	one := barsWidth / most
	d.words(at, rowsAt-16, d.text, `font-weight="bold"`, title)
	fmt.Fprintf(&d.svg, `<path d="M%.1f %d V%.0f" stroke="%s" stroke-dasharray="3 3"/>`+"\n", at+one, rowsAt-6, bottom-4, d.muted)
	for i, row := range pictured {
		y := float64(rowsAt + rowHeight*i)
		if row.publishOnly && scenario == b.Receive {
			d.words(at+one+8, y+18, d.muted, `font-size="12" font-style="italic"`, "makes no span")
			continue
		}
		if err := d.bars(at, y, one, scenario, row.variant); err != nil {
			return err
		}
	}
	return nil
}

// bars draws the bars of a variant: with recorded spans and without. go-redis alone makes none.
func (d *drawing) bars(at, y, one float64, scenario *b.Scenario, variant string) error {
	colors := []string{d.other, d.otherUnsampled}
	if variant == b.Library {
		colors = []string{d.ours, d.oursUnsampled}
	}
	samplings := []b.Sampling{b.Sampled, b.Unsampled}
	if variant == b.Raw {
		samplings, y = samplings[:1], y+barHeight/2+1
	}
	for i, sampling := range samplings {
		m, err := d.find(scenario, variant, sampling)
		if err != nil {
			return err
		}
		text := number(cost(m))
		if variant == b.Raw {
			text = fmt.Sprintf("1 = %.1f µs", m.Nanoseconds/1000)
		}
		top := y + float64(i)*(barHeight+2)
		d.bar(at, top, cost(m)*one, colors[i])
		low, high := at+one/m.Speed.Upper, at+one/m.Speed.Lower
		if variant != b.Raw {
			fmt.Fprintf(&d.svg, `<path d="M%.1f %.1f H%.1f" stroke="%s"/>`+"\n", low, top+barHeight/2, high, d.text)
		}
		d.words(max(high, at+one)+6, top+barHeight-2, d.text, `font-size="11"`, text)
	}
	return nil
}

func (d *drawing) find(scenario *b.Scenario, variant string, sampling b.Sampling) (*measurement, error) {
	s := setting(b.Text, b.Small, sampling)
	for i, m := range d.report.Measured {
		if m.Scenario == scenario.Name && m.Setting == s && m.Variant == variant && m.Against == b.Raw {
			return &d.report.Measured[i], nil
		}
	}
	return nil, fmt.Errorf("nothing to draw of %s, %v, %s", scenario.Name, s, variant)
}

// cost returns how many times the time of go-redis alone a variant takes.
func cost(m *measurement) float64 { return 1 / m.Speed.Median }

func (d *drawing) bar(x, y, width float64, color string) {
	height := float64(barHeight)
	fmt.Fprintf(&d.svg, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.0f" rx="1.5" fill="%s"/>`+"\n", x, y, width, height, color)
}

func (d *drawing) words(x, y float64, color, style, text string) {
	if style != "" {
		style = " " + style
	}
	fmt.Fprintf(&d.svg, `<text x="%.1f" y="%.1f" fill="%s"%s>%s</text>`+"\n", x, y, color, style, html.EscapeString(text))
}
