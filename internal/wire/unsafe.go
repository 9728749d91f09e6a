// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import "unsafe"

// viewBytes returns the bytes of s without copying them. Nobody may change them.
func viewBytes(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// ownedString returns b as a string without copying it. Nobody may hold b any more.
func ownedString(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}
