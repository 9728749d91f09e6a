// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// RecordingSampler keeps the parameters that another sampler decides on. It is for one
// goroutine.
type RecordingSampler struct {
	sdktrace.Sampler
	Calls []sdktrace.SamplingParameters
}

// ShouldSample keeps p and returns the decision of the other sampler.
func (s *RecordingSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	s.Calls = append(s.Calls, p)
	return s.Sampler.ShouldSample(p)
}
