// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire

// Accounting is what an envelope says about its delivery. The zero Accounting means that it
// says nothing.
type Accounting struct {
	Time     int64  // of publishing, in Unix microseconds
	Source   string // the ID of the publisher, and never empty in an envelope
	Sequence int64  // the number of the message on its channel
}

const (
	// maxSource is the maximum length of a source, in bytes.
	maxSource = 64
	// maxExact is the largest number up to which every parser reads whole numbers exactly.
	maxExact = 1 << 53
)

// foundAccounting holds the members ts, src and seq of a message.
type foundAccounting struct {
	time, sequence string     // the last values, as JSON text
	source         stringText // the last value
	isString       bool       // the last source is a string
	counts         [3]int     // of each of the three
}

// noteAccounting records a member that is one of the three. text is its value if it is a
// string.
func (m *members) noteAccounting(kind member, value string, text stringText, isString bool) {
	a := &m.accounting
	a.counts[kind-memberTime]++
	switch kind {
	case memberTime:
		a.time = value
	case memberSource:
		a.source, a.isString = text, isString
	case memberSequence:
		a.sequence = value
	}
}

// account returns the accounting of an envelope. It is the zero Accounting if one of the three
// members is missing, repeated or unusable. Without escapes, the source is a substring of the
// message.
func (m *members) account() (a Accounting) {
	found := &m.accounting
	if found.counts != [3]int{1, 1, 1} || !found.isString {
		return a
	}
	length, ok := m.unquotedLen(found.source)
	if !ok || length == 0 || length > maxSource {
		return a
	}
	time, timeOK := exactNumber(found.time)
	sequence, sequenceOK := exactNumber(found.sequence)
	if !timeOK || !sequenceOK {
		return a
	}
	source := m.message[found.source.start:found.source.end]
	if found.source.escaped {
		source, _ = m.unquote(found.source)
	}
	return Accounting{time, source, sequence}
}

// exactNumber returns the value of a JSON text that is a whole number, written without a
// fraction and an exponent.
func exactNumber(text string) (n int64, ok bool) {
	n, rest, ok := cutNumber(text, "")
	return n, ok && rest == "" && n <= maxExact
}
