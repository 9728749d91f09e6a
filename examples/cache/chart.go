// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The picture has two diagrams with the same time axis.
const (
	width, height = 720, 434
	left, right   = 52, 566 // of the diagrams; the names of the lines are beside them
	top1, bottom1 = 44, 214
	top2, bottom2 = 284, 400
)

// theme is the colors of a picture.
type theme struct{ name, text, grid, outage, published, received, missed, right string }

var themes = []theme{
	{"light", "#1f2328", "#d1d9e0", "#d1d9e0", "#59636e", "#0969da", "#cf222e", "#1a7f37"},
	{"dark", "#f0f6fc", "#3d444d", "#3d444d", "#9198a1", "#4493f8", "#f85149", "#3fb950"},
}

// draw writes the picture of a run into a folder, once for each theme.
func draw(folder string, got *outcome) error {
	for i := range themes {
		p := &picture{outcome: got, color: &themes[i], end: got.samples[len(got.samples)-1].at}
		path := filepath.Join(folder, "missed-"+p.color.name+".svg")
		if err := os.WriteFile(path, []byte(p.draw()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

type picture struct {
	*outcome

	color *theme
	end   time.Duration
	text  strings.Builder
}

func (p *picture) draw() string {
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="system-ui, sans-serif" font-size="12">`, width, height)
	p.add("<!-- SPDX-FileCopyrightText: The tracedpubsub Authors; SPDX-License-Identifier: Apache-2.0 -->")
	p.add("<title>%d messages missed in an outage of %.1f s, counted by the subscriber</title>", p.lost, (p.mended - p.cut).Seconds())

	messages := &diagram{p, "invalidations", top1, bottom1, float64(p.published), nil}
	messages.frame()
	messages.line("published", p.published, p.color.published, func(s *sample) int64 { return s.published })
	messages.line("received", p.received, p.color.received, func(s *sample) int64 { return s.received })
	messages.line("lost", p.lost, p.color.missed, func(s *sample) int64 { return s.lost })
	p.events(messages)

	var most int
	for i := range p.samples {
		most = max(most, p.samples[i].stale[without])
	}
	stale := &diagram{p, fmt.Sprintf("stale entries, of %d", numberOfKeys), top2, bottom2, float64(most), nil}
	stale.frame()
	stale.line("without the rule", int64(p.stale[without]), p.color.missed, func(s *sample) int64 { return int64(s.stale[without]) })
	stale.line("with the rule", int64(p.stale[with]), p.color.right, func(s *sample) int64 { return int64(s.stale[with]) })
	p.add("</svg>")
	return p.text.String()
}

func (p *picture) add(format string, args ...any) { fmt.Fprintf(&p.text, format+"\n", args...) }

func (p *picture) label(x, y float64, anchor, color, text string) {
	p.add(`<text x="%.0f" y="%.0f" text-anchor="%s" fill="%s">%s</text>`, x, y, anchor, color, text)
}

// x is the place of a time.
func (p *picture) x(at time.Duration) float64 {
	return left + (right-left)*float64(at)/float64(p.end)
}

// events marks when the subscriber says what it has missed: at once, and for certain.
func (p *picture) events(d *diagram) {
	for i := range p.samples {
		s := &p.samples[i]
		if s.skipped > 0 {
			y := d.y(float64(s.received))
			p.add(`<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`, p.x(s.at), y, p.color.received)
			p.label(p.x(s.at)+8, y+16, "start", p.color.received, fmt.Sprintf("msg.Skipped is %d", s.skipped))
			return
		}
	}
}

// diagram is a diagram over the time of a run.
type diagram struct {
	*picture

	title       string
	top, bottom float64
	most        float64
	labels      []float64 // where the names of lines are
}

func (d *diagram) y(value float64) float64 { return d.bottom - (d.bottom-d.top)*value/max(d.most, 1) }

// frame draws what does not depend on a line.
func (d *diagram) frame() {
	cut, mended := d.x(d.cut), d.x(d.mended)
	d.add(`<rect x="%.1f" y="%.0f" width="%.1f" height="%.0f" fill="%s" fill-opacity="0.5"/>`, cut, d.top, mended-cut, d.bottom-d.top, d.color.outage)
	d.label((cut+mended)/2, d.top-4, "middle", d.color.text, "no connection")
	d.label(left, d.top-22, "start", d.color.text, d.title)
	for value := 0.0; value <= d.most; value += 50 {
		d.add(`<path d="M%d %.1fH%d" stroke="%s"/>`, left, d.y(value), right, d.color.grid)
		d.label(left-6, d.y(value)+4, "end", d.color.text, fmt.Sprintf("%.0f", value))
	}
	for at := time.Duration(0); at <= d.end; at += 2 * time.Second {
		d.label(d.x(at), d.bottom+18, "middle", d.color.text, fmt.Sprintf("%.0f s", at.Seconds()))
	}
}

// line draws a value over time, with its name and its last value beside it.
func (d *diagram) line(name string, last int64, color string, value func(*sample) int64) {
	var path strings.Builder
	for i := range d.samples {
		s := &d.samples[i]
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", command, d.x(s.at), d.y(float64(value(s))))
	}
	d.add(`<path d="%s" fill="none" stroke="%s" stroke-width="2" stroke-linejoin="round"/>`, path.String(), color)
	y := d.y(float64(last)) + 4
	for _, other := range d.labels { // not on another name; the lines are drawn from the top down
		y = max(y, other+15)
	}
	d.labels = append(d.labels, y)
	d.label(right+8, y, "start", color, fmt.Sprintf("%s: %d", name, last))
}
