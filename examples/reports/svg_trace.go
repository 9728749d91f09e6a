// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Measures of the picture of a trace, in pixels.
const (
	traceTop   = 78 // of the first row
	traceRow   = 20
	redisRow   = 38 // between the publish and those who received it
	barHeight  = 10
	nameLeft   = 20
	indent     = 14
	serviceAt  = 206
	barLeft    = 322
	barRight   = 712
	tookRight  = 780
	traceStyle = "text{font:12.5px system-ui,sans-serif}" +
		".h{font-weight:600;font-size:15px}.b{font-weight:600}.s{font-size:11px}.m{font:10px ui-monospace,monospace}.e{text-anchor:end}.c{text-anchor:middle}"
)

// traced is a trace that is being drawn.
type traced struct {
	*svg
	layout   *layout
	rows     []line
	top      []float64 // of each row
	hop      int       // the first row that crossed Redis
	bottom   float64   // of the last row
	services map[string]string
}

// drawTrace draws a trace as a picture: a row for each span, and a row for Redis between the
// publish and those that received its message.
func drawTrace(t *collected, th *theme) string {
	d := &traced{rows: lines(t.spans), services: map[string]string{}}
	d.layout = newLayout(screen{width: 100}, t.spans, d.rows)
	d.hop = slices.IndexFunc(d.rows, func(l line) bool { return crossedRedis(l.span) })
	d.bottom = traceTop
	for i := range d.rows {
		if i == d.hop {
			d.bottom += redisRow
		}
		d.top = append(d.top, d.bottom)
		d.bottom += traceRow
	}
	const title = "A trace through Redis Pub/Sub: an API publishes an order, and four workers process it"
	d.svg = newSVG(d.bottom+16, th, title, traceStyle)
	hues := []string{th.gray, th.blue, th.green, th.yellow, th.purple, th.cyan}
	for i, service := range d.layout.services {
		d.services[service] = hues[i%len(hues)]
	}
	d.head(t)
	d.band(t.id)
	for i := range d.rows {
		d.row(i)
	}
	d.arrows()
	return d.end()
}

// head draws the title and the scale.
func (d *traced) head(t *collected) {
	d.write(nameLeft, 32, d.text, ` class="h"`, "One request, one trace, through Redis Pub/Sub")
	d.write(tookRight, 32, d.dim, ` class="e"`, d.layout.total(len(t.spans), 0))
	for at := time.Duration(0); at <= d.layout.length; at += time.Millisecond {
		x := d.x(at)
		d.line(fmt.Sprintf("M%s %dV%s", tenths(x), traceTop-8, tenths(d.bottom+4)), d.grid, "")
		d.write(x, traceTop-14, d.dim, ` class="s c"`, fmt.Sprintf("%d ms", at.Milliseconds()))
	}
}

// x returns where a time is.
func (d *traced) x(offset time.Duration) float64 {
	return barLeft + float64(offset)/float64(d.layout.length)*(barRight-barLeft)
}

func (d *traced) start(i int) float64 { return d.x(d.rows[i].span.StartTime().Sub(d.layout.begin)) }

// depth returns how far a row is indented.
func (d *traced) depth(i int) int { return width(d.rows[i].twigs) / 2 }

// band draws the row of Redis, with what goes through it.
func (d *traced) band(id trace.TraceID) {
	if d.hop < 0 {
		return
	}
	y := d.top[d.hop] - redisRow + 5
	d.rect(1, y, pictureWidth-2, redisRow-10, 0, d.svg.band, "")
	d.write(nameLeft+float64(d.depth(d.hop)*indent), y+18.5, d.redis, ` class="b"`, "Redis Pub/Sub")
	d.write(serviceAt, y+18.5, d.dim, "", "channel "+reportsChannel)
	envelope := fmt.Sprintf(`{"tracedpubsub":1,"traceparent":"00-%.8s…","payload":{…}}`, id)
	d.write(tookRight, y+18, d.text, ` class="m e"`, envelope)
}

// row draws a span.
func (d *traced) row(i int) {
	s := d.rows[i].span
	middle := d.top[i] + traceRow/2
	color := d.services[serviceOf(s)]
	x := float64(nameLeft + d.depth(i)*indent)
	if d.depth(i) > 0 {
		d.line(fmt.Sprintf("M%s %sV%sh%d", tenths(x-indent+4), tenths(d.parentBottom(i)), tenths(middle), indent-7), d.border, "")
	}
	d.write(x, middle+4.5, d.text, "", s.Name())
	d.write(serviceAt, middle+4.5, color, "", serviceOf(s))
	took := duration(s)
	faint := ""
	if s.SpanKind() == trace.SpanKindInternal && d.depth(i) > 0 {
		faint = ` opacity=".55"`
	}
	width := max(float64(took)/float64(d.layout.length)*(barRight-barLeft), 2.5)
	d.rect(d.start(i), middle-barHeight/2, width, barHeight, min(3, width/2), color, faint)
	d.write(tookRight, middle+4.5, d.dim, ` class="s e"`, d.layout.time(took))
}

// parentBottom returns where the branch from the parent of a row begins: below its name, or
// at the branch of the child before.
func (d *traced) parentBottom(i int) float64 {
	for j := i - 1; j >= 0; j-- {
		if d.depth(j) == d.depth(i) {
			return d.top[j] + traceRow/2
		}
		if d.depth(j) < d.depth(i) {
			return d.top[j] + traceRow - 3
		}
	}
	return d.top[i]
}

// trunk returns where the message leaves the publish.
func (d *traced) trunk() float64 { return d.start(d.hop-1) + 3 }

// arrows draws the way of the message from the publish to those that received it.
func (d *traced) arrows() {
	if d.hop < 0 {
		return
	}
	x, from := d.trunk(), d.top[d.hop-1]+(traceRow+barHeight)/2
	more := ` stroke-width="1.5" stroke-dasharray="3.5 2.5"`
	for i, row := range d.rows {
		if !crossedRedis(row.span) {
			continue
		}
		y, to := d.top[i]+traceRow/2, d.start(i)-1
		d.line(fmt.Sprintf("M%s %sV%sq0 5 5 5H%s", tenths(x), tenths(from), tenths(y-5), tenths(to-4)), d.redis, more)
		d.add(`<path d="M%s %sl-5.5 -3.5v7z" fill="%s"/>`, tenths(to), tenths(y), d.redis)
		from = y - 5
	}
}
