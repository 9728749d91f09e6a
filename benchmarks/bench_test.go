// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"os"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

// TestMain fails the run if a test leaves a goroutine behind.
func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }

func BenchmarkPublish(b *testing.B)          { every(b, Publish) }
func BenchmarkParallelPublish(b *testing.B)  { every(b, Parallel) }
func BenchmarkPipelinedPublish(b *testing.B) { every(b, Pipeline) }
func BenchmarkReceive(b *testing.B)          { every(b, Receive) }
func BenchmarkEncode(b *testing.B)           { every(b, Encode) }
func BenchmarkDecode(b *testing.B)           { every(b, Decode) }

// noLimit keeps the server from cutting off a subscriber with a backlog.
var noLimit = []string{"--client-output-buffer-limit", "pubsub 0 0 0"}

func every(b *testing.B, scenario *Scenario) {
	e := NewEnv(redistest.Start(b, noLimit...).Addr(), nil)
	b.Cleanup(func() { _ = e.Close() })
	for _, s := range Every() {
		for _, v := range scenario.Variants {
			b.Run(s.String()+"/"+v.Name, func(b *testing.B) { measure(b, e, v, s) })
		}
	}
}

// measure runs b.N messages, in parts: the server has to hold a backlog.
func measure(b *testing.B, e *Env, v Variant, s Setting) {
	bench, err := v.Setup(e, s)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = bench.Close() })
	part := min(10_000, 16<<20/s.Size)
	b.SetBytes(int64(s.Size))
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= part {
		b.StopTimer()
		err := bench.Run(min(part, left), func(do func() error) error {
			b.StartTimer()
			defer b.StopTimer()
			return do()
		})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
