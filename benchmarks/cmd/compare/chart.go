// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"image/color"
	"os"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
)

// pictured are the comparisons that are in the picture, one panel each.
var pictured = []struct {
	scenario *b.Scenario
	setting  b.Setting
}{
	{b.Publish, setting(b.Text, b.Small, b.Sampled)},
	{b.Publish, setting(b.Text, b.Small, b.Unsampled)},
	{b.Pipeline, setting(b.Text, b.Small, b.Sampled)},
	{b.Receive, setting(b.Text, b.Small, b.Sampled)},
	{b.Encode, setting(b.JSON, b.Medium, b.Sampled)},
	{b.Decode, setting(b.JSON, b.Medium, b.Sampled)},
}

var (
	ours   = color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff}
	theirs = color.RGBA{R: 0x7f, G: 0x7f, B: 0x7f, A: 0xff}
)

// writeChart draws how fast each variant is, relative to the first of its panel.
func writeChart(path string, all []measurement) (err error) {
	const columns, width, height = 2, 11 * vg.Inch, 10 * vg.Inch
	var plots [][]*plot.Plot
	for i, p := range pictured {
		panel, err := panelOf(all, p.scenario, p.setting)
		if err != nil {
			return err
		}
		if i%columns == 0 {
			plots = append(plots, nil)
		}
		plots[len(plots)-1] = append(plots[len(plots)-1], panel)
	}
	canvas := vgsvg.New(width, height)
	tiles := draw.Tiles{
		Rows: len(plots), Cols: columns, PadX: vg.Points(18), PadY: vg.Points(18),
		PadTop: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(8),
	}
	dc := draw.New(canvas)
	dc.SetColor(color.White)
	dc.Fill(dc.Rectangle.Path())
	for i, row := range plot.Align(plots, tiles, dc) {
		for j, cell := range row {
			plots[i][j].Draw(cell)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = canvas.WriteTo(f)
	return err
}

// panelOf draws a point for each median, and a line between the other two quartiles.
func panelOf(all []measurement, scenario *b.Scenario, s b.Setting) (*plot.Plot, error) {
	var names []string
	var points [2]plotted // of this library, and of others
	against := ""
	for i := len(all) - 1; i >= 0; i-- { // the first is to be on top
		m := all[i]
		if m.Scenario != scenario.Name || m.Setting != s {
			continue
		}
		at := &points[1]
		if strings.HasPrefix(m.Variant, b.Library) {
			at = &points[0]
		}
		at.add(m.Speed, float64(len(names)))
		names, against = append(names, m.Variant), m.Against
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("nothing to draw of %s, %v", scenario.Name, s)
	}
	p := plot.New()
	p.Title.Text = describe(scenario, s)
	p.X.Label.Text = "speed, " + against + " = 1"
	p.NominalY(names...)
	p.Add(plotter.NewGrid())
	for i, colored := range []color.Color{ours, theirs} {
		if err := points[i].addTo(p, colored); err != nil {
			return nil, err
		}
	}
	p.X.Min = 0
	p.Y.Min, p.Y.Max = -0.5, float64(len(names))-0.5
	return p, nil
}

// plotted are points with their error bars.
type plotted struct {
	plotter.XYs
	plotter.XErrors
}

func (p *plotted) add(q quartiles, y float64) {
	p.XYs = append(p.XYs, plotter.XY{X: q.Median, Y: y})
	p.XErrors = append(p.XErrors, struct{ Low, High float64 }{q.Median - q.Lower, q.Upper - q.Median})
}

func (p *plotted) addTo(panel *plot.Plot, c color.Color) error {
	if len(p.XYs) == 0 {
		return nil
	}
	dots, err := plotter.NewScatter(p.XYs)
	if err != nil {
		return err
	}
	dots.GlyphStyle = draw.GlyphStyle{Color: c, Radius: vg.Points(3.5), Shape: draw.CircleGlyph{}}
	bars, err := plotter.NewXErrorBars(p)
	if err != nil {
		return err
	}
	bars.LineStyle.Color, bars.LineStyle.Width = c, vg.Points(1.5)
	panel.Add(bars, dots)
	return nil
}
