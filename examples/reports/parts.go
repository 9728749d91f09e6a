// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
)

// A report consists of these parts. Each has a worker.
var (
	partNames = []string{"summary", "chart", "table", "pdf"}
	makers    = map[string]func(*order) string{"summary": summary, "chart": chart, "table": table, "pdf": pdf}
)

func summary(o *order) string {
	total, most := 0, o.Rows[0]
	for _, r := range o.Rows {
		total += r.Amount
		if r.Amount > most.Amount {
			most = r
		}
	}
	mean := float64(total) / float64(len(o.Rows))
	return fmt.Sprintf("%s: %d in %d rows, %.1f on average; most in %s (%d).",
		o.Title, total, len(o.Rows), mean, most.Name, most.Amount)
}

func chart(o *order) string {
	const width = 40
	most, longest := 1, 0
	for _, r := range o.Rows {
		most, longest = max(most, r.Amount), max(longest, len(r.Name))
	}
	var b strings.Builder
	for _, r := range o.Rows {
		bar := strings.Repeat("#", r.Amount*width/most)
		fmt.Fprintf(&b, "%-*s %s\n", longest, r.Name, bar)
	}
	return b.String()
}

func table(o *order) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "name\tamount\t\n")
	for _, r := range o.Rows {
		fmt.Fprintf(w, "%s\t%d\t\n", r.Name, r.Amount)
	}
	w.Flush()
	return b.String()
}

// pdf is a page with the summary and the table on it.
func pdf(o *order) string {
	var page strings.Builder
	page.WriteString("BT /F 11 Tf 14 TL 72 770 Td\n")
	for line := range strings.Lines(summary(o) + "\n\n" + table(o)) {
		fmt.Fprintf(&page, "(%s) Tj T*\n", pdfEscape(strings.TrimRight(line, "\n")))
	}
	page.WriteString("ET")

	var b bytes.Buffer
	var offsets []int
	b.WriteString("%PDF-1.4\n")
	for i, object := range []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", page.Len(), page.String()),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
	} {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, table)
	return b.String()
}

// pdfEscape writes text as the PDF's own fonts can show it.
func pdfEscape(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, strings.NewReplacer(`\`, `\\`, `(`, `\(`, `)`, `\)`).Replace(s))
}
