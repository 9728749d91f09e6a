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
	time, sequence int64      // the last values, or unusable
	source         stringText // the last value
	isString       bool       // the last source is a string
	counts         [3]int     // of each of the three
}

// unusable is the value of a member that is not a whole number, written without a fraction and
// an exponent.
const unusable = -1

// noteAccounting records a member that is one of the three. text is its value if it is a
// string.
func (m *members) noteAccounting(kind member, value string, text stringText, isString bool) {
	if kind == memberSource {
		m.noteSource(text, isString)
		return
	}
	n, rest, ok := cutNumber(value, "")
	if !ok || rest != "" {
		n = unusable
	}
	m.noteNumber(kind, n)
}

func (m *members) noteSource(text stringText, isString bool) {
	a := &m.accounting
	a.counts[memberSource-memberTime]++
	a.source, a.isString = text, isString
}

func (m *members) noteNumber(kind member, n int64) {
	a := &m.accounting
	a.counts[kind-memberTime]++
	if kind == memberTime {
		a.time = n
	} else {
		a.sequence = n
	}
}

// account returns the accounting of an envelope. It is the zero Accounting if one of the three
// members is missing, repeated or unusable. Without escapes, the source is a substring of the
// message.
func (m *members) account() (a Accounting) {
	found := &m.accounting
	if found.counts != [3]int{1, 1, 1} || !found.isString || !isExact(found.time) || !isExact(found.sequence) {
		return a
	}
	length, ok := m.unquotedLen(found.source)
	if !ok || length == 0 || length > maxSource {
		return a
	}
	source := m.message[found.source.start:found.source.end]
	if found.source.escaped {
		source, _ = m.unquote(found.source)
	}
	return Accounting{found.time, source, found.sequence}
}

func isExact(n int64) bool { return 0 <= n && n <= maxExact }
