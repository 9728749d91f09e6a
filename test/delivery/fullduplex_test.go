// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// A full-duplex auto-pipeline sends a message without the envelope of the hook. The message
// uses up no number, so that nobody counts it as lost. What is sent in another way has one.
func TestNoNumberOnFullDuplex(t *testing.T) {
	server := redistest.Start(t)
	faces := map[string]func(*redis.Client, *redis.AutoPipelineOptions) (*redis.AutoPipeliner, error){
		"blocking":     (*redis.Client).AutoPipelineWithOptions,
		"asynchronous": (*redis.Client).AsyncAutoPipelineWithOptions,
	}
	for name, face := range faces {
		t.Run(name, func(t *testing.T) {
			ctx, began, rdb := tracetest.Context(t), time.Now(), tracetest.OtherClient(t, server.Client())
			var errs tracetest.ErrorLog
			tracetest.Instrument(t, rdb, tracetest.NewRecorder(t), errs.Option(), tracedpubsub.WithAccounting())
			ap, err := face(rdb, tracetest.FullDuplex(t))
			if err != nil {
				t.Fatal(err)
			}
			sub := tracetest.ReadyRaw(t, server.Client().Subscribe(ctx, name))
			var numbered []string
			for range 3 {
				tracetest.AssertSent(t, rdb.Publish(ctx, name, "by the client"))
				tracetest.AssertSent(t, ap.Publish(ctx, name, "by the auto-pipeline"))
				if _, err := ap.Pipelined(ctx, func(pipe redis.Pipeliner) error {
					pipe.Publish(ctx, name, "by its pipeline")
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				if err := ap.Do(ctx, "publish", name, "by its client").Err(); err != nil {
					t.Fatal(err)
				}
				messages := nextRaw(t, sub, 4)
				if messages[1] != "by the auto-pipeline" {
					t.Errorf("the auto-pipeline has sent %q, want no envelope", messages[1])
				}
				numbered = append(numbered, messages[0], messages[2], messages[3])
			}
			assertNumbered(t, numbered, 1, began)
			if n := len(errs.All()); n != 1 {
				t.Errorf("the error handler got %d errors, want one: that there is no envelope", n)
			}
		})
	}
}
