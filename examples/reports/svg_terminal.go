// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Measures of the picture of a terminal, in pixels. A column has the width of most monospaced
// fonts.
const (
	terminalColumns = 97
	columnWidth     = 7.8
	rowHeight       = 18
	terminalLeft    = 22
	terminalTop     = 62 // the baseline of the first row
	terminalStyle   = "text{font:13px ui-monospace,monospace;white-space:pre}.b{font-weight:700}" +
		"g{animation:show .1s backwards}@keyframes show{from{opacity:0}}" +
		"@media(prefers-reduced-motion:reduce){g{animation:none}}"
)

const prompt, command = "$ ", "go run -C examples ./reports"

// drawTerminal draws a terminal in which the program has run. Where a picture can move, its
// lines come one after the other.
func drawTerminal(t *collected, th *theme) string {
	s := screen{width: terminalColumns, colors: true}
	text := s.paint(dim, prompt) + s.paint(bold, command) + "\n" + s.render(t) + "\n" + strings.Join(epilogue, "\n")
	rows := strings.Split(text, "\n")
	p := newSVG(float64(terminalTop+(len(rows)-1)*rowHeight+20), th, "The trace that the program prints", terminalStyle)
	for i, color := range []string{p.red, p.yellow, p.green} {
		p.add(`<circle cx="%d" cy="20" r="5.5" fill="%s" opacity=".8"/>`, terminalLeft+6+i*19, color)
	}
	p.line(fmt.Sprintf("M1 37.5H%d", pictureWidth-1), p.border, "")
	for i, row := range rows {
		if row == "" {
			continue
		}
		var wait float64 // for the program, and then for each line
		if i > 0 {
			wait = 0.8 + 0.06*float64(i)
		}
		p.add(`<g style="animation-delay:%ss">`, tenths(wait))
		p.drawRow(terminalTop+float64(i)*rowHeight, row)
		p.add(`</g>`)
	}
	return p.end()
}

var (
	colored = regexp.MustCompile("\x1b\\[([0-9]*)m|[^\x1b]+")
	// What is drawn at once: blocks, each branch of a tree, and words that are near each other.
	pieces = regexp.MustCompile(`[█▌▐]+|[│├└]|[^█▌▐│├└ ]+( [^█▌▐│├└ ]+)*`)
)

// drawRow draws a line with the escape sequences of a terminal.
func (p *svg) drawRow(y float64, row string) {
	color, column := plain, 0
	for _, m := range colored.FindAllStringSubmatch(row, -1) {
		if m[0][0] == '\x1b' {
			color = m[1]
			continue
		}
		for _, at := range pieces.FindAllStringIndex(m[0], -1) {
			p.drawPiece(terminalLeft+columnWidth*float64(column+width(m[0][:at[0]])), y, color, m[0][at[0]:at[1]])
		}
		column += width(m[0])
	}
}

func (p *svg) drawPiece(x, y float64, color, text string) {
	const up, down, middle = -13.5, rowHeight - 13.5, -4.5 // from the baseline
	center := x + columnWidth/2
	switch first, _ := utf8.DecodeRuneInString(text); first {
	case '█', '▌', '▐':
		columns := float64(width(text))
		if strings.HasPrefix(text, "▐") {
			x += columnWidth / 2
			columns -= 0.5
		}
		if strings.HasSuffix(text, "▌") {
			columns -= 0.5
		}
		p.rect(x, y+up+1.5, columnWidth*columns, rowHeight-3, 0, p.ansi(color), "")
	case '│':
		p.line(fmt.Sprintf("M%s %sV%s", tenths(center), tenths(y+up), tenths(y+down)), p.ansi(color), "")
	case '├':
		p.line(fmt.Sprintf("M%s %sV%sM%s %sH%s", tenths(center), tenths(y+up), tenths(y+down), tenths(center), tenths(y+middle), tenths(x+columnWidth)), p.ansi(color), "")
	case '└':
		p.line(fmt.Sprintf("M%s %sV%sH%s", tenths(center), tenths(y+up), tenths(y+middle), tenths(x+columnWidth)), p.ansi(color), "")
	default:
		more := ""
		if color == bold {
			more = ` class="b"`
		}
		p.write(x, y, p.ansi(color), more, text)
	}
}

// ansi returns the color of a parameter of the terminal's SGR sequence, of those that a
// report has.
func (t *theme) ansi(parameter string) string {
	switch parameter {
	case dim:
		return t.dim
	case "31":
		return t.red
	case "32":
		return t.green
	case "33":
		return t.yellow
	case "34":
		return t.blue
	case "35":
		return t.purple
	case "36":
		return t.cyan
	case "96":
		return t.brightCyan
	}
	return t.text
}
