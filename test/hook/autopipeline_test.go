// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// An auto-pipeline makes its own batches. Each message is in one of them, or sent alone.
func TestHookedAutoPipeline(t *testing.T) {
	tracetest.OnEachServer(t, func(t *testing.T, rdb *redis.Client) {
		ctx, rec, meters := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
		own := tracetest.OtherClient(t, rdb)
		tracetest.Instrument(t, own, rec, meters.Option())
		raw := tracetest.ReadyRaw(t, rdb.Subscribe(ctx, "reports"))
		ap, err := own.AsyncAutoPipeline()
		if err != nil {
			t.Fatal(err)
		}
		const n = 100 // a span of the SDK has at most 128 links
		for i := range n {
			ap.Publish(ctx, "reports", i)
		}
		if err := ap.Close(); err != nil { // which sends what is queued
			t.Fatal(err)
		}
		created := make(map[trace.SpanID]bool) // and whether a batch links to it
		var counted, alone int64
		for _, s := range rec.Ended() {
			tracetest.AssertRoot(t, s)
			tracetest.AssertSucceeded(t, s)
			switch s.Name() {
			case "create reports":
				created[s.SpanContext().SpanID()] = false
			case "publish reports":
				alone++
			case "send reports":
				count, _ := tracetest.AttributeOf(s, "messaging.batch.message_count")
				counted += count.AsInt64()
				for _, link := range s.Links() {
					created[link.SpanContext.SpanID()] = true
				}
			}
		}
		if counted+alone != n || int64(len(created)) != counted {
			t.Errorf("%d messages were created, %d sent in batches, %d alone, want %d in all", len(created), counted, alone, n)
		}
		meters.AssertMatch(t, rec.Ended())
		for id, linked := range created {
			if !linked {
				t.Errorf("no batch links to %v", id)
			}
		}
		for i := range n {
			if e, err := tracedpubsub.Decode(tracetest.NextRaw(t, raw).Payload); e.Payload != strconv.Itoa(i) || err != nil {
				t.Errorf("message %d is %q, %v", i, e.Payload, err)
			}
		}
	})
}

// assertSeenOnceInAutoPipelines asserts that each message is traced once. The
// auto-pipelines of a cluster are one for each node, or full-duplex ones of the nodes.
func assertSeenOnceInAutoPipelines(t *testing.T, cluster *redistest.Cluster) {
	t.Helper()
	faces := map[string]func(*redis.ClusterClient, *redis.AutoPipelineOptions) (*redis.AutoPipeliner, error){
		"blocking":     (*redis.ClusterClient).AutoPipelineWithOptions,
		"asynchronous": (*redis.ClusterClient).AsyncAutoPipelineWithOptions,
	}
	for name, face := range faces {
		for _, fullDuplex := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/full-duplex %t", name, fullDuplex), func(t *testing.T) {
				ctx, rec, meters := tracetest.Context(t), tracetest.NewRecorder(t), tracetest.NewMetrics(t)
				rdb, listener := cluster.Client(), cluster.Client()
				var errs tracetest.ErrorLog
				tracetest.Instrument(t, rdb, rec, errs.Option(), meters.Option())
				var options *redis.AutoPipelineOptions
				if fullDuplex {
					options = tracetest.FullDuplex(t)
				}
				ap, err := face(rdb, options)
				if err != nil {
					t.Fatal(err)
				}
				raw := tracetest.ReadyRaw(t, listener.SSubscribe(ctx, name))
				const n = 20
				var cmds []*redis.IntCmd
				for range n {
					cmds = append(cmds, ap.SPublish(ctx, name, "hello"))
				}
				for _, cmd := range cmds {
					if got := cmd.String(); got != "spublish "+name+" hello: 1" {
						t.Errorf("the command is %q", got)
					}
				}
				if err := ap.Close(); err != nil {
					t.Fatal(err)
				}
				perMessage := 0
				for _, s := range rec.Ended() {
					if s.SpanKind() == trace.SpanKindProducer {
						perMessage++
					}
				}
				meters.AssertMatch(t, rec.Ended())
				if perMessage != n {
					t.Errorf("there are %d producer spans, want %d", perMessage, n)
				}
				for range n {
					if wire := tracetest.NextRaw(t, raw).Payload; (wire == "hello") != fullDuplex {
						t.Errorf("on the wire is %q", wire)
					}
				}
				if reports := errs.All(); (len(reports) == 1) != fullDuplex {
					t.Errorf("the error handler got %v", reports)
				}
			})
		}
	}
}
