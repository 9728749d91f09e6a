// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"slices"
)

// BatchSize is the number of messages in a pipeline.
const BatchSize = 100

// Pipeline publishes messages in pipelines.
var Pipeline = &Scenario{"pipelined publish", pipelineVariants()}

func pipelineVariants() []Variant {
	var variants []Variant
	for _, p := range publishers {
		variants = append(variants, Variant{p.name, func(e *Env, s Setting) (*Bench, error) {
			return p.bench(e, s, batches)
		}})
	}
	return variants
}

func batches(ctx context.Context, p *publishing, channels []string, payload any) error {
	for batch := range slices.Chunk(channels, BatchSize) {
		if err := p.batch(ctx, batch, payload); err != nil {
			return err
		}
	}
	return nil
}
