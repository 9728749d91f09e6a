// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// writePictures draws a trace, and what the program prints of it, into a folder: each in
// colors for a light and for a dark page.
func writePictures(dir string, t *collected) error {
	t, err := t.atRecordedTimes()
	if err != nil {
		return fmt.Errorf("-svg: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, theme := range []*theme{light, dark} {
		for name, text := range map[string]string{"trace": drawTrace(t, theme), "terminal": drawTerminal(t, theme)} {
			path := filepath.Join(dir, name+"-"+theme.name+".svg")
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// theme has the colors of a picture.
type theme struct {
	name                           string
	page, border, grid, text, dim  string
	redis, band                    string
	gray, blue, green, yellow, red string
	purple, cyan, brightCyan       string
}

var (
	light = &theme{
		name: "light",
		page: "#ffffff", border: "#d1d9e0", grid: "#eaeef2", text: "#1f2328", dim: "#59636e",
		redis: "#cf222e", band: "#fff1f0",
		gray: "#768390", blue: "#0969da", green: "#1a7f37", yellow: "#9a6700", red: "#cf222e", purple: "#8250df", cyan: "#1b7c83", brightCyan: "#3192aa",
	}
	dark = &theme{
		name: "dark",
		page: "#0d1117", border: "#30363d", grid: "#21262d", text: "#e6edf3", dim: "#9198a1",
		redis: "#ff7b72", band: "#25171c",
		gray: "#848d97", blue: "#4493f8", green: "#3fb950", yellow: "#d29922", red: "#ff7b72", purple: "#ab7df8", cyan: "#39c5cf", brightCyan: "#56d4dd",
	}
)

// svg is a picture to be drawn.
type svg struct {
	strings.Builder
	*theme
}

// pictureWidth is about the width of a page on GitHub.
const pictureWidth = 800

// newSVG begins a picture with a frame.
func newSVG(height float64, th *theme, title, style string) *svg {
	p := &svg{theme: th}
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%s" viewBox="0 0 %[1]d %[2]s" role="img" aria-label="%s">`,
		pictureWidth, tenths(height), html.EscapeString(title))
	p.add(`<!-- SPDX-FileCopyrightText: The tracedpubsub Authors -->`)
	p.add(`<!-- SPDX-License-Identifier: Apache-2.0 -->`)
	p.add(`<title>%s</title>`, html.EscapeString(title))
	p.add(`<style>%s</style>`, style)
	p.add(`<rect x=".5" y=".5" width="%d" height="%s" rx="10" fill="%s" stroke="%s"/>`,
		pictureWidth-1, tenths(height-1), p.page, p.border)
	return p
}

func (p *svg) add(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// write writes a text. more are further attributes.
func (p *svg) write(x, y float64, color, more, text string) {
	p.add(`<text x="%s" y="%s" fill="%s"%s>%s</text>`, tenths(x), tenths(y), color, more, html.EscapeString(text))
}

func (p *svg) rect(x, y, width, height, radius float64, color, more string) {
	p.add(`<rect x="%s" y="%s" width="%s" height="%s" rx="%s" fill="%s"%s/>`,
		tenths(x), tenths(y), tenths(width), tenths(height), tenths(radius), color, more)
}

// line draws a path without a filling.
func (p *svg) line(path, color, more string) {
	p.add(`<path d="%s" fill="none" stroke="%s"%s/>`, path, color, more)
}

func (p *svg) end() string {
	p.add(`</svg>`)
	return p.String()
}

// tenths writes a coordinate in tenths.
func tenths(f float64) string {
	s := strconv.FormatFloat(f, 'f', 1, 64)
	return strings.TrimSuffix(s, ".0")
}
