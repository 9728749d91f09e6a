// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

// meanings say what the targets are about. Tables have these words: a number alone would tell
// their readers nothing.
var meanings = map[string]string{
	"P1":  "speed of publishing",
	"P2":  "publishing, to redisotel",
	"P3":  "allocations of publishing",
	"P4":  "speed of pipelines",
	"P5":  "speed of receiving",
	"P6":  "allocations of receiving",
	"P7":  "decoding",
	"P8":  "encoding",
	"P9":  "metrics",
	"P10": "growth",
	"P11": "accounting",
}
