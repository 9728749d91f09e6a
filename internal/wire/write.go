// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

// Append appends the envelope of payload and f to b. The same input always gives the same
// bytes. The error names the fields of f that an envelope cannot hold. They are left out, and
// the envelope is valid.
func Append(b []byte, f *Fields, payload string) ([]byte, error) {
	start, leftOut := appendStart(b, f)
	w := Writer{front: start, fields: len(start), start: len(start)}
	w.Wrap(viewBytes(payload))
	b = append(w.front, w.verbatim...)
	return append(b, w.end...), leftOut
}

// Writer writes envelopes, and reuses its memory. Call Begin to set the fields, then Account, if
// the message has an accounting, and Wrap for each payload, and then AppendTo or Text to get
// the envelope.
type Writer struct {
	// An envelope is front, verbatim and end. A payload that needs no escapes is not
	// copied to front, since it may be large, but is verbatim.
	front    []byte
	fields   int // the length of the part of front that Begin has written
	start    int // the same with what Account has written
	verbatim []byte
	end      string
}

// Begin sets the fields of the next envelopes. The error names the fields of f that an
// envelope cannot hold. They are left out.
func (w *Writer) Begin(f *Fields) error {
	var leftOut error
	w.front, leftOut = appendStart(w.front[:0], f)
	w.fields, w.start = len(w.front), len(w.front)
	return leftOut
}

// BeginTraceparent is like Begin with a traceparent as the only field. It takes bytes, so
// that the caller needs no string, and does not escape them, since a traceparent needs none.
func (w *Writer) BeginTraceparent(traceparent []byte) {
	w.front = append(w.front[:0], version1+`,"`+nameTraceparent+`":"`...)
	w.front = append(w.front, traceparent...)
	w.front = append(w.front, '"')
	w.fields, w.start = len(w.front), len(w.front)
}

// Account sets the accounting of the next envelope. Its source must need no escapes.
func (w *Writer) Account(a Accounting) {
	b := append(w.front[:w.fields], `,"ts":`...)
	b = strconv.AppendInt(b, a.Time, 10)
	b = append(b, `,"src":"`...)
	b = append(b, a.Source...)
	b = append(b, `","seq":`...)
	w.front = strconv.AppendInt(b, a.Sequence, 10)
	w.start = len(w.front)
}

// Wrap writes the envelope of payload, in the first form that fits its bytes: a JSON
// document, text, or base64. The caller must not change payload before it has called
// AppendTo or Text.
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

// Text returns a copy of the envelope.
func (w *Writer) Text() string {
	var b strings.Builder
	b.Grow(w.Len())
	b.Write(w.front)
	b.Write(w.verbatim)
	b.WriteString(w.end)
	return b.String()
}

// maxKept is the maximum size of the memory that a Writer keeps, in bytes.
const maxKept = 128 << 10

// Reset releases the payload, and memory that is too large to be kept.
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

// writable appends the fields of f that an envelope can hold to fields, in the order of the
// envelope. The error names the other fields, except those with an empty value.
func writable(fields []field, f *Fields) ([]field, error) {
	var leftOut []error
	size := 0
	for name, value := range f.all() {
		if value == "" {
			continue
		}
		if !memberNamed(name).isField() {
			leftOut = append(leftOut, fmt.Errorf("tracedpubsub: propagation field %q left out: an envelope has another member of that name", name))
			continue
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			leftOut = append(leftOut, fmt.Errorf("tracedpubsub: propagation field %q left out: not valid UTF-8", name))
			continue
		}
		fields = append(fields, field{name, value})
		size += len(name) + len(value)
	}
	if size > MaxFields {
		leftOut = append(leftOut, fmt.Errorf("%w: all %d left out, of %d bytes", ErrCarrierTooLarge, len(fields), size))
		fields = fields[:0]
	}
	return fields, errors.Join(leftOut...)
}
