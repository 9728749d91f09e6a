// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// TestMain fails the run if a test leaves a goroutine behind.
func TestMain(m *testing.M) {
	logging.Disable() // as main does
	os.Exit(redistest.Main(m))
}

// An outage leaves stale entries in a cache, but for the rule, and the subscriber counts
// exactly what it has missed.
func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		addr         func(t *testing.T) string
	}{
		{"redis", "a real server", func(t *testing.T) string { return redistest.Start(t).Addr() }},
		{"in this process", "what the program does without options", func(*testing.T) string { return "" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			folder := t.TempDir()
			o := &options{redis: tt.addr(t), svg: folder, before: 300 * time.Millisecond, outage: 500 * time.Millisecond}
			var printed strings.Builder
			got, err := run(ctx, o, &printed)
			if err != nil {
				t.Fatalf("%s: %v\n%s", tt.reason, err, &printed)
			}
			missed := got.published - got.received
			if missed <= 0 || got.skipped != missed || got.lost != missed {
				t.Errorf("%d are skipped and %d lost, want %d, more than 0", got.skipped, got.lost, missed)
			}
			if got.stale[without] == 0 || got.stale[with] != 0 {
				t.Errorf("%d entries are stale without the rule, want some; %d with it, want none", got.stale[without], got.stale[with])
			}
			for _, name := range []string{"missed-light.svg", "missed-dark.svg"} {
				assertPicture(t, filepath.Join(folder, name))
			}
			if t.Failed() {
				t.Log(printed.String())
			}
		})
	}
}

// assertPicture asserts that a file is an SVG that a page can show: XML, and not large.
func assertPicture(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(content) > 30_000 || !strings.HasPrefix(string(content), "<svg ") {
		t.Errorf("%s has %d bytes and begins with %.20q", path, len(content), content)
	}
	for d := xml.NewDecoder(strings.NewReader(string(content))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
}
