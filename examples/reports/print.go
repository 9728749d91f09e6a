// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// render draws a trace: a line for each span, with a bar for its time.
func (s screen) render(t *collected) string {
	if len(t.spans) == 0 {
		return ""
	}
	all := lines(t.spans)
	l := newLayout(s, t.spans, all)
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", s.paint(bold, clip("trace "+t.id.String(), s.width)))
	fmt.Fprintf(&b, "%s\n\n", s.paint(dim, clip(l.total(len(t.spans)+t.more, t.more), s.width)))
	fmt.Fprintf(&b, "%s\n", s.paint(dim, l.head()))
	for _, line := range all {
		fmt.Fprintf(&b, "%s\n", l.row(line))
		if failed(line.span) {
			fmt.Fprintf(&b, "%s\n", l.failure(line))
		}
	}
	for i, explained := range legend(all) {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s\n", s.paint(dim, clip(explained, s.width)))
	}
	return b.String()
}

// Marks before the name of a span.
const (
	redisMark  = "⇢ "
	failedMark = "✗ "
)

func marks(l line) (redis, failure string) {
	if crossedRedis(l.span) {
		redis = redisMark
	}
	if failed(l.span) {
		failure = failedMark
	}
	return redis, failure
}

// legend explains the marks of a trace.
func legend(all []line) (lines []string) {
	if slices.ContainsFunc(all, func(l line) bool { return crossedRedis(l.span) }) {
		lines = append(lines, redisMark+"received through Redis Pub/Sub")
	}
	if slices.ContainsFunc(all, func(l line) bool { return l.stray }) {
		lines = append(lines, strayTwig+"parent span is in another process")
	}
	return lines
}

// layout holds the widths of the columns. A column of width 0 is left out.
type layout struct {
	screen
	name, service, kind, start, took, bar int

	begin    time.Time
	length   time.Duration
	services []string // in the order of their colors
}

const (
	gap      = 2 // between two columns
	leastBar = 10
	mostBar  = 60
)

// newLayout gives every column the width that it needs, and the bars the rest. If that is too
// little for the bars, other columns get narrower.
func newLayout(s screen, spans []sdktrace.ReadOnlySpan, all []line) *layout {
	l := &layout{screen: s, name: width("span"), service: width("service"), kind: width("kind"), start: width("start"), took: width("took")}
	l.begin, l.length = extent(spans)
	for _, line := range all {
		service := serviceOf(line.span)
		if !slices.Contains(l.services, service) {
			l.services = append(l.services, service)
		}
		redis, failure := marks(line)
		l.name = max(l.name, width(line.twigs+redis+failure+printable(line.span.Name())))
		l.service = max(l.service, width(service))
		l.kind = max(l.kind, width(line.span.SpanKind().String()))
		l.start = max(l.start, width(l.time(line.span.StartTime().Sub(l.begin))))
		l.took = max(l.took, width(l.time(duration(line.span))))
	}
	for _, column := range []*int{&l.start, &l.kind, &l.service} {
		if l.left() < leastBar {
			*column = 0
		}
	}
	if l.bar = min(l.left(), mostBar); l.bar < leastBar {
		l.bar = 0
		if l.width <= gap+l.took {
			l.took = 0
		}
		l.name = min(l.name, l.name+l.left()+gap)
	}
	return l
}

// left returns the width that the other columns leave for the bars.
func (l *layout) left() int {
	left := l.width
	for _, column := range []int{l.name, l.service, l.kind, l.start, l.took} {
		if column > 0 {
			left -= column + gap
		}
	}
	return left
}

// total returns a summary of a trace.
func (l *layout) total(spans, more int) string {
	text := fmt.Sprintf("%s of %s in %s", count(spans, "span"), count(len(l.services), "service"), l.time(l.length))
	if more > 0 {
		text += fmt.Sprintf("; the last %d are not shown", more)
	}
	return text
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func (l *layout) head() string {
	var scale string
	if end := l.time(l.length); l.bar > 0 {
		scale = fmt.Sprintf("0%*s", l.bar-1, end)
	}
	return l.join(pad("span", l.name), pad("service", l.service), pad("kind", l.kind),
		padLeft("start", l.start), padLeft("took", l.took), scale)
}

func (l *layout) row(r line) string {
	s := r.span
	offset, took := s.StartTime().Sub(l.begin), duration(s)
	service := serviceOf(s)
	hue := hues[slices.Index(l.services, service)%len(hues)]
	color := plain
	if failed(s) {
		hue, color = red, red
	}
	redis, failure := marks(r)
	name := clip(r.twigs+redis+failure+printable(s.Name()), l.name)
	name, twigs := cutPrefix(name, r.twigs)
	name, redis = cutPrefix(name, redis)
	return l.join(
		l.paint(dim, twigs)+l.paint(bold, redis)+l.paint(color, pad(name, l.name-width(twigs+redis))),
		l.paint(hue, pad(service, l.service)),
		l.paint(dim, pad(s.SpanKind().String(), l.kind)),
		padLeft(l.time(offset), l.start),
		padLeft(l.time(took), l.took),
		l.paint(hue, bar(offset, took, l.length, l.bar)))
}

// failure returns a line with the status of a span, for below the line of the span.
func (l *layout) failure(r line) string {
	text := printable(r.span.Status().Description)
	if text == "" {
		text = "failed, and does not say why"
	}
	stem := clip(r.stem, l.width)
	return l.paint(dim, stem) + l.paint(red, clip(text, l.width-width(stem)))
}

// join joins the cells of a line, without the columns that are left out.
func (l *layout) join(cells ...string) string {
	var there []string
	for i, column := range []int{l.name, l.service, l.kind, l.start, l.took, l.bar} {
		if column > 0 {
			there = append(there, cells[i])
		}
	}
	return strings.TrimRight(strings.Join(there, strings.Repeat(" ", gap)), " ")
}

// time writes the times of a trace with the same unit and precision, so that they can be
// compared. A time of which too little would be left has a smaller unit.
func (l *layout) time(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case d > 0 && d < 10*time.Microsecond:
		return fmt.Sprintf("%.1f µs", float64(d)/float64(time.Microsecond))
	case l.length < 10*time.Millisecond:
		return fmt.Sprintf("%.3f ms", ms)
	case l.length < 100*time.Millisecond || d > 0 && d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", ms)
	case l.length < time.Second:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.3f s", d.Seconds())
}

// bar draws the time of a span, in half columns. It draws at least one.
func bar(offset, took, length time.Duration, columns int) string {
	if columns == 0 {
		return ""
	}
	halves := 2 * columns
	at := func(d time.Duration) int { return int(float64(d) / float64(max(length, 1)) * float64(halves)) }
	from := min(at(offset), halves-1)
	to := min(max(at(offset+took), from+1), halves)
	var b strings.Builder
	for column := range columns {
		left, right := 2*column, 2*column+1
		switch {
		case from <= left && right < to:
			b.WriteString("█")
		case from <= left && left < to:
			b.WriteString("▌")
		case from <= right && right < to:
			b.WriteString("▐")
		default:
			b.WriteString(" ")
		}
	}
	return b.String()
}
