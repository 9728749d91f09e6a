// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"errors"

	"github.com/redis/go-redis/extra/redisotel/v9"
)

// Redisotel is the instrumentation of go-redis. It makes a span for each command and carries
// no context.
const (
	Redisotel     = "redisotel"
	RedisotelBare = "redisotel without statements"
)

func connectRedisotel(statements bool) func(*Env, Setting) (*publishing, error) {
	return func(e *Env, s Setting) (*publishing, error) {
		rdb := e.client()
		options := []redisotel.TracingOption{redisotel.WithTracerProvider(e.tracerProvider(s))}
		if !statements {
			options = append(options, redisotel.WithDBStatement(false))
		}
		err := redisotel.InstrumentTracing(rdb, options...)
		if err == nil && s.Metrics {
			err = redisotel.InstrumentMetrics(rdb, redisotel.WithMeterProvider(e.metrics))
		}
		if err != nil {
			return nil, errors.Join(err, rdb.Close())
		}
		return publishThrough(rdb), nil
	}
}
