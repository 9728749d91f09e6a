// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import "unsafe"

// viewBytes returns the bytes of s without copying them. They must not be changed.
func viewBytes(s string) []byte {
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// viewString returns b as a string without copying it. The string is valid until b changes.
func viewString(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// ownedString returns b as a string without copying it. b must not be used afterwards.
func ownedString(b []byte) string {
	return viewString(b)
}
