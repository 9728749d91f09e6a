// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

// Append appends the envelope of payload and f to b. The same input always gives
// the same bytes. The error names the fields of f that no envelope can hold; the
// envelope is valid without them.
func Append(b []byte, f *Fields, payload string) ([]byte, error) {
	start, leftOut := appendStart(b, f)
	w := Writer{front: start, start: len(start)}
	w.Wrap(viewBytes(payload))
	b = append(w.front, w.verbatim...)
	return append(b, w.end...), leftOut
}

// Writer writes envelopes in memory that it uses again: Begin, then Wrap for each
// payload, then AppendTo or Text for the envelope.
//
// An envelope has three parts. The front holds everything up to the payload. A
// payload that may stand in the envelope verbatim is not copied there, since it may
// be large. The end closes what the front has opened.
type Writer struct {
	front    []byte
	start    int // how much of the front Begin has written
	verbatim []byte
	end      string
}

// Begin writes the marker and the fields of f, with which the envelopes that follow
// start. The error names the fields that no envelope can hold; they are left out.
func (w *Writer) Begin(f *Fields) error {
	var leftOut error
	w.front, leftOut = appendStart(w.front[:0], f)
	w.start = len(w.front)
	return leftOut
}

// BeginTraceparent is Begin for fields that are a traceparent alone, which saves its
// string. A traceparent needs no escapes.
func (w *Writer) BeginTraceparent(traceparent []byte) {
	w.front = append(w.front[:0], version1+`,"`+nameTraceparent+`":"`...)
	w.front = append(w.front, traceparent...)
	w.front = append(w.front, '"')
	w.start = len(w.front)
}

// Wrap makes the envelope of payload, in the first form that fits its bytes: a JSON
// document, text, or base64. The caller must not change payload before it has taken
// the envelope.
func (w *Writer) Wrap(payload []byte) {
	b := w.front[:w.start]
	if jsontext.Document(payload, MaxDocumentDepth) {
		b = append(b, `,"size":`...)
		b = strconv.AppendInt(b, int64(len(payload)), 10)
		w.front, w.verbatim, w.end = append(b, `,"payload":`...), payload, `}`
		return
	}
	switch verbatim, valid := jsontext.Text(payload); {
	case verbatim:
		w.front, w.verbatim, w.end = append(b, `,"payload":"`...), payload, `"}`
	case valid:
		b = append(b, `,"payload":`...)
		w.front, w.verbatim, w.end = jsontext.AppendQuoted(b, payload), nil, `}`
	default:
		b = append(b, `,"payload_base64":"`...)
		w.front, w.verbatim, w.end = base64.StdEncoding.AppendEncode(b, payload), nil, `"}`
	}
}

// Len returns the length of the envelope.
func (w *Writer) Len() int { return len(w.front) + len(w.verbatim) + len(w.end) }

// AppendTo appends the envelope to b.
func (w *Writer) AppendTo(b []byte) []byte {
	b = append(b, w.front...)
	b = append(b, w.verbatim...)
	return append(b, w.end...)
}

// Text returns the envelope as a string of its own.
func (w *Writer) Text() string {
	var b strings.Builder
	b.Grow(w.Len())
	b.Write(w.front)
	b.Write(w.verbatim)
	b.WriteString(w.end)
	return b.String()
}

// maxKept is how much memory a Writer keeps, in bytes.
const maxKept = 128 << 10

// Reset forgets the payload, and memory that has become too large to be kept.
func (w *Writer) Reset() {
	w.verbatim = nil
	if cap(w.front) > maxKept {
		w.front = nil
	}
}

// appendStart appends the marker and the fields of f.
func appendStart(b []byte, f *Fields) ([]byte, error) {
	var room [8]field
	fields, leftOut := writable(room[:0], f)
	b = append(b, version1...)
	for _, f := range fields {
		b = append(b, ',')
		b = jsontext.AppendQuoted(b, viewBytes(f.name))
		b = append(b, ':')
		b = jsontext.AppendQuoted(b, viewBytes(f.value))
	}
	return b, leftOut
}

// writable appends the fields of f that go into an envelope to fields, in their
// order. The error names the others, apart from empty ones.
func writable(fields []field, f *Fields) ([]field, error) {
	var leftOut []error
	size, w3c := 0, 0
	for name, value := range f.all() {
		if value == "" {
			continue
		}
		if memberNamed(name) != memberOther {
			leftOut = append(leftOut, fmt.Errorf("tracedpubsub: propagation field %q left out: an envelope has another member of that name", name))
			continue
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			leftOut = append(leftOut, fmt.Errorf("tracedpubsub: propagation field %q left out: not valid UTF-8", name))
			continue
		}
		fields = append(fields, field{name, value})
		size += len(name) + len(value)
		if f.w3c(name) != nil {
			w3c++
		}
	}
	if size > MaxFields {
		leftOut = append(leftOut, fmt.Errorf("%w: all %d left out, of %d bytes", ErrCarrierTooLarge, len(fields), size))
		fields = fields[:0]
		w3c = 0
	}
	slices.SortFunc(fields[w3c:], func(a, b field) int { return cmp.Compare(a.name, b.name) })
	return fields, errors.Join(leftOut...)
}
