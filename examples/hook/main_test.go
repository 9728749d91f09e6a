// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// TestMain fails the run if a test leaves a goroutine behind.
func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

// The program looks itself whether each order is one trace.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		t.Error(err)
	}
}
