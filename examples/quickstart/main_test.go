// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// TestMain fails the run if a test leaves a goroutine behind.
func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

// The spans of the publisher and of the consumer are in one trace.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	t.Setenv("REDIS_ADDR", miniredis.RunT(t).Addr())

	printed := printedBy(t, func() error { return run(ctx) })
	var trace string
	if at := strings.Index(printed, " producer publish orders\n"); at > 0 {
		trace = printed[strings.LastIndex(printed[:at], "\n")+1 : at]
	}
	want := "packing order 7\n"
	for _, span := range []string{"producer publish orders", "internal POST /orders", "internal pack", "consumer process orders"} {
		want += trace + " " + span + "\n"
	}
	if trace == "" || printed != want {
		t.Errorf("the program has printed\n%s, want\n%s", printed, want)
	}
}

// printedBy returns what f prints.
func printedBy(t *testing.T, f func() error) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	printed := make(chan string)
	go func() {
		b, _ := io.ReadAll(r)
		printed <- string(b)
	}()
	err = f()
	os.Stdout = stdout
	_ = w.Close()
	if err != nil {
		t.Error(err)
	}
	return <-printed
}
