// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"sync"
	"testing"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// A deployment restarts the workers, one after the other, while orders come in. Each part of
// which Redis has delivered the order to a worker is made.
func TestRollingRestart(t *testing.T) {
	server := redistest.Start(t)
	rdb := server.Client()
	startWorker := func(part string) *program {
		p := startProgram(t, "worker", "-part", part, "-redis", server.Addr())
		p.stdout.waitFor(t, regexp.MustCompile(`worker-`+part+` is subscribed to reports`))
		return p
	}
	workers := make(map[string]*program)
	for _, part := range partNames {
		workers[part] = startWorker(part)
	}

	delivered := make(map[string]int64) // to how many workers, by the ID of the order
	ctx, stop := context.WithCancel(t.Context())
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			o := sample
			o.ID = fmt.Sprint(i)
			text, err := json.Marshal(o)
			if err != nil {
				t.Error(err)
				return
			}
			n, err := tracedpubsub.Publish(context.Background(), rdb, reportsChannel, text).Result()
			if err != nil {
				t.Error(err)
				return
			}
			delivered[o.ID] = n
		}
	})
	for _, part := range partNames {
		workers[part].stop()
		workers[part] = startWorker(part)
	}
	stop()
	publishing.Wait()
	for _, w := range workers {
		w.stop()
	}

	var fewer int
	for id, n := range delivered {
		made, err := rdb.HLen(t.Context(), reportKey(id)).Result()
		if err != nil {
			t.Fatal(err)
		}
		if made != n {
			t.Errorf("of order %s, which %d workers have got, %d parts were made", id, n, made)
		}
		if n < int64(len(partNames)) {
			fewer++
		}
	}
	if fewer == 0 {
		t.Error("no order came while a worker was down")
	}
	t.Logf("%d orders, %d while a worker was down", len(delivered), fewer)
}
