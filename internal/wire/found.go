// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"hash/maphash"
	"math/bits"
	"slices"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

// foundFields are the propagation fields in a message. In an envelope, these are all string
// members that mean nothing else. In any other object, only those are that the propagator
// names. Which of the two a message is may be known only at its end, so not all are kept at
// first; see keepAll.
type foundFields struct {
	w3c       [3]w3cText
	few       [8]fieldText // the others: most messages have no more
	n         int          // how many of few are used
	more      []fieldText  // nil, or all of the others that are kept
	passed    int          // how many are not kept
	all       bool         // keep all
	illFormed bool         // a name had a lone surrogate
}

// w3cText is a W3C field: the number of its values, and the last one.
type w3cText struct {
	value stringText
	count int
}

// fieldText is any other field.
type fieldText struct {
	pos      int // of its name
	value    stringText
	repeated bool // occurs twice
}

// note records the field at pos.
func (m *members) note(kind member, pos int, name, value stringText) {
	found := &m.found
	if kind != memberOther {
		f := &found.w3c[kind-memberTraceparent]
		f.count++
		f.value = value
		return
	}
	// A foreign object may have a million members, and so may a malformed envelope.
	room := m.markers > 0 && found.more == nil && found.n < len(found.few)
	if !room && !found.all && !m.needs(name) {
		found.passed++
		return
	}
	if _, ok := m.unquotedLen(name); !ok {
		found.illFormed = true
		return
	}
	field := fieldText{pos: pos, value: value}
	if found.more == nil && found.n < len(found.few) {
		found.few[found.n] = field
		found.n++
		return
	}
	if found.more == nil {
		found.more = slices.Clone(found.few[:])
	}
	found.more = append(found.more, field)
}

// needs reports whether the propagator names a field. Of a field that occurs twice, which is
// left out, no third one is needed.
func (m *members) needs(name stringText) bool {
	i := slices.IndexFunc(m.names, func(s string) bool { return m.equal(name, s) })
	if i < 0 {
		return false
	}
	count := 0
	for _, other := range m.found.others() {
		if m.equal(m.nameAt(other.pos), m.names[i]) {
			count++
		}
	}
	return count < 2
}

// keepAll reports whether fields were not kept. If so, it makes room for all of them, and the
// caller has to read the message again.
func (found *foundFields) keepAll() (again bool) {
	if found.passed == 0 {
		return false
	}
	room := make([]fieldText, 0, len(found.others())+found.passed)
	*found = foundFields{more: room, all: true}
	return true
}

// keepNamed removes the fields that the propagator does not name.
func (m *members) keepNamed() {
	for i, name := range w3cNames {
		if !slices.Contains(m.names, name) {
			m.found.w3c[i].count = 0
		}
	}
	others, kept := m.found.others(), 0
	for _, other := range others {
		name := m.nameAt(other.pos)
		if slices.ContainsFunc(m.names, func(s string) bool { return m.equal(name, s) }) {
			others[kept] = other
			kept++
		}
	}
	m.found.truncate(kept)
}

// keepSound removes the fields that occur twice or have a lone surrogate. It reports whether
// there were none.
func (m *members) keepSound() bool {
	found := &m.found
	sound := !found.illFormed
	for i := range found.w3c {
		f := &found.w3c[i]
		if _, ok := m.unquotedLen(f.value); !ok || f.count > 1 {
			sound, f.count = false, 0
		}
	}
	others, kept := found.others(), 0
	m.findRepeated(others)
	for _, other := range others {
		if _, ok := m.unquotedLen(other.value); ok && !other.repeated {
			others[kept] = other
			kept++
		}
	}
	found.truncate(kept)
	return sound && kept == len(others)
}

// findRepeated finds the fields that occur twice.
func (m *members) findRepeated(fields []fieldText) {
	if len(fields) <= len(m.found.few) {
		for i := range fields {
			for j := range i {
				if m.sameName(fields[i].pos, fields[j].pos) {
					fields[i].repeated, fields[j].repeated = true, true
				}
			}
		}
		return
	}
	// A hash table, since comparing each with each would take too long. A slot has the index of
	// a field, plus one.
	slots := make([]int32, 1<<bits.Len(uint(2*len(fields))))
	for i := range fields {
		for slot := m.hashName(fields[i].pos); ; slot++ {
			slot &= uint64(len(slots) - 1)
			first := slots[slot] - 1
			if first < 0 {
				slots[slot] = int32(i) + 1
				break
			}
			if m.sameName(fields[i].pos, fields[first].pos) {
				fields[i].repeated, fields[first].repeated = true, true
				break
			}
		}
	}
}

// others returns the fields that are not of W3C.
func (found *foundFields) others() []fieldText {
	if found.more != nil {
		return found.more
	}
	return found.few[:found.n]
}

// truncate removes the others from n on.
func (found *foundFields) truncate(n int) {
	if found.more != nil {
		found.more = found.more[:n]
	} else {
		found.n = n
	}
}

// nameAt returns the name of the field at pos.
func (m *members) nameAt(pos int) stringText {
	name, _ := m.stringAt(pos)
	return name
}

// hashSeed is not known to a publisher, who could choose names whose hashes are the same.
var hashSeed = maphash.MakeSeed()

func (m *members) hashName(pos int) uint64 {
	var room [64]byte
	return maphash.Bytes(hashSeed, m.plain(room[:0], m.nameAt(pos)))
}

func (m *members) sameName(pos1, pos2 int) bool {
	name := m.nameAt(pos1)
	if !name.escaped {
		return m.equal(m.nameAt(pos2), m.message[name.start:name.end])
	}
	var room [64]byte
	return m.equal(m.nameAt(pos2), viewString(m.plain(room[:0], name)))
}

func (m *members) equal(name stringText, s string) bool {
	if !name.escaped {
		return m.message[name.start:name.end] == s
	}
	return jsontext.EqualUnquoted(m.text[name.start:name.end], s)
}
