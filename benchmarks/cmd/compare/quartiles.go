// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
)

// quartiles are the quartiles of the values of all rounds.
type quartiles struct {
	Lower  float64 `json:"lower"`
	Median float64 `json:"median"`
	Upper  float64 `json:"upper"`
}

// quartilesOf interpolates between the two values nearest to a quartile.
func quartilesOf(values []float64) quartiles {
	sorted := slices.Sorted(slices.Values(values))
	at := func(p float64) float64 {
		if len(sorted) == 0 {
			return math.NaN()
		}
		place := p * float64(len(sorted)-1)
		below := int(place)
		above := min(below+1, len(sorted)-1)
		return sorted[below] + (place-float64(below))*(sorted[above]-sorted[below])
	}
	return quartiles{at(0.25), at(0.5), at(0.75)}
}

func (q quartiles) String() string {
	return fmt.Sprintf("%s (%s–%s)", ratio(q.Median), ratio(q.Lower), ratio(q.Upper))
}

// ratio formats f with three digits, or more if they are in front of the point.
func ratio(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}
