// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const images = "../../docs/images"

// The pictures in the documentation are those that the program draws.
func TestPictures(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	p := startProgram(t, "-svg", dir)
	if code := p.wait(); code != exitDone {
		t.Fatalf("exit code = %d, want %d", code, exitDone)
	}
	drawn, err := os.ReadDir(dir)
	if err != nil || len(drawn) != 4 {
		t.Fatalf("%d files, %v; want 4", len(drawn), err)
	}
	for _, file := range drawn {
		name := file.Name()
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(images, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the program draws (%v); to draw it anew: go run -C examples ./reports -svg ../docs/images", name, err)
		}
		checkPicture(t, name, got)
	}
}

var elements = []string{"svg", "title", "style", "rect", "text", "path", "circle", "g"}

// checkPicture checks that a picture is small, well-formed, and shows nothing from elsewhere.
func checkPicture(t *testing.T, name string, picture []byte) {
	t.Helper()
	if len(picture) > 30_000 {
		t.Errorf("%s has %d bytes, want at most 30,000", name, len(picture))
	}
	for decoder := xml.NewDecoder(bytes.NewReader(picture)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains(elements, element.Name.Local) {
			t.Errorf("%s has an element %q", name, element.Name.Local)
		}
		for _, a := range element.Attr {
			if strings.Contains(a.Name.Local, "href") || strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Value, "url(") {
				t.Errorf("%s has an attribute %s=%q", name, a.Name.Local, a.Value)
			}
		}
	}
}

var textElement = regexp.MustCompile(`<text [^>]*>([^<]*)</text>`)

// textsIn returns the texts of a picture, in its order.
func textsIn(t *testing.T, name string) (texts []string) {
	t.Helper()
	picture, err := os.ReadFile(filepath.Join(images, name))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range textElement.FindAllSubmatch(picture, -1) {
		texts = append(texts, strings.ReplaceAll(string(m[1]), "&#34;", `"`))
	}
	return texts
}

// Each span of a trace is in its picture, Redis is between the publish and the first worker, and
// an arrow leads to each of the workers.
func TestPictureOfTheTrace(t *testing.T) {
	for _, name := range []string{"trace-light.svg", "trace-dark.svg"} {
		texts := textsIn(t, name)
		for of := range recorded {
			if at := slices.Index(texts, of.name); at < 0 || !slices.Contains(texts, of.service) {
				t.Errorf("%s does not show %q (%s)", name, of.name, of.service)
			}
		}
		publish, redis, process := slices.Index(texts, "publish reports"), slices.Index(texts, "Redis Pub/Sub"), slices.Index(texts, "process reports")
		if publish < 0 || redis < 0 || process < 0 {
			t.Errorf("%s shows %q", name, texts)
		}
		picture, err := os.ReadFile(filepath.Join(images, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(picture), "stroke-dasharray"); got != len(partNames) {
			t.Errorf("%s has %d arrows, want one to each of the %d workers", name, got, len(partNames))
		}
	}
}

// The picture of the terminal has the text that the program prints.
func TestPictureOfTheTerminal(t *testing.T) {
	texts := textsIn(t, "terminal-light.svg")
	if dark := textsIn(t, "terminal-dark.svg"); !slices.Equal(texts, dark) {
		t.Errorf("the light one has %q, and the dark one %q", texts, dark)
	}
	for _, want := range []string{
		"go run -C examples ./reports", "trace 4bf92f3577b34da6a3ce929d0e0e4736", "18 spans of 6 services in 5.697 ms",
		"kind", "start", "took", "GET /reports/{id}", "producer", "4.077 ms", "9.0 µs", "⇢", "⇢ received through Redis Pub/Sub",
		"The report has all its parts: summary, chart, table, pdf.",
	} {
		if !slices.Contains(texts, want) {
			t.Errorf("there is no %q among %q", want, texts)
		}
	}
	for name, want := range map[string]int{"worker-pdf": 3, "api": 3, "client": 5, "process reports": 4} {
		got := 0
		for _, text := range texts {
			if text == name {
				got++
			}
		}
		if got != want {
			t.Errorf("%q is there %d times, want %d", name, got, want)
		}
	}
}

// A trace of which there is no recording is not drawn.
func TestPicturesOfOtherTraces(t *testing.T) {
	for _, tt := range []struct {
		name  string
		trace *collected
		want  string
	}{
		{"an unknown span", madeTrace(made{1, 0, "spublish reports", "api", producer, 0, 1, ""}), `no recorded time for "spublish reports" (api)`},
		{"a span too few", madeTrace(made{1, 0, "publish reports", "api", producer, 0, 1, ""}), "the trace has 1 spans"},
	} {
		err := writePictures(t.TempDir(), tt.trace)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
	}
	p := startProgram(t, "-svg", "svg_test.go/images")
	if code := p.wait(); code != exitFailed || !strings.Contains(p.stderr.String(), "not a directory") {
		t.Errorf("into a file: exit code %d, standard error %q", code, p.stderr)
	}
}
