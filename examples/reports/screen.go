// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/term"
)

// screen describes the terminal or file to which the trees are printed.
type screen struct {
	width  int
	narrow bool // longer lines would be broken
	colors bool
}

// screenOf returns the width of the terminal, if w is one. Otherwise lines have 100 columns,
// or COLUMNS, and no colors.
func screenOf(w io.Writer) screen {
	s := screen{width: 100}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		s.width, s.narrow = n, true
	}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return s
	}
	if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
		s.width, s.narrow = n, true
	}
	s.colors = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return s
}

// Colors, as parameters of the terminal's SGR sequence.
const (
	dim   = "2"
	bold  = "1"
	red   = "31"
	plain = ""
)

// hues are the colors of the services, in turn.
var hues = []string{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}

func (s screen) paint(color, text string) string {
	if !s.colors || color == plain || strings.TrimSpace(text) == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// fit shortens a line of text that the terminal would break. A file gets all of it.
func (s screen) fit(line string) string {
	if line = printable(line); s.narrow {
		line = clip(line, s.width)
	}
	return line
}

// printable replaces the characters that control a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '�'
	}, s)
}

// lockedWriter is a writer for several goroutines. The text of one Write stays together.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
