// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
)

// AllChannels makes Instrument trace every channel.
func AllChannels(string) bool { return true }

// Instrument installs a hook on rdb that traces every channel with rec.
func Instrument(t *testing.T, rdb redis.UniversalClient, rec *Recorder, opts ...tracedpubsub.Option) {
	t.Helper()
	opts = append([]tracedpubsub.Option{tracedpubsub.WithTracerProvider(rec)}, opts...)
	if err := tracedpubsub.Instrument(rdb, AllChannels, opts...); err != nil {
		t.Fatal(err)
	}
}

// PipelineCase is a way in which a client sends several commands at once.
type PipelineCase struct {
	Name, Reason string
	Run          func(rdb redis.UniversalClient, ctx context.Context, fill func(redis.Pipeliner) error) ([]redis.Cmder, error)
}

// Pipelines has a pipeline and a transaction.
var Pipelines = []PipelineCase{
	{"Pipelined", "commands as they come", redis.UniversalClient.Pipelined},
	{"TxPipelined", "with MULTI and EXEC around them", redis.UniversalClient.TxPipelined},
}
