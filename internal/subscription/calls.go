// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"sync/atomic"
)

// maxCalls is how many calls of a topology may be under way.
const maxCalls = 64

var errHung = errors.New("earlier calls of the client have not returned: a function among its options hangs")

// calls counts calls of go-redis that may not return, because a function that the client was
// given hangs.
type calls struct{ running atomic.Int32 }

// callOf returns what call returns. It does not wait longer than for ctx. It recovers from a
// panic of a function that the client was given.
func callOf[T any](ctx context.Context, c *calls, call func() (T, error)) (result T, err error) {
	if c.running.Add(1) > maxCalls {
		c.running.Add(-1)
		return result, errHung
	}
	type results struct {
		result T
		err    error
	}
	done := make(chan results, 1)
	go func() {
		defer c.running.Add(-1)
		var r results
		defer func() {
			if v := recover(); v != nil {
				r.err = panicError("go-redis, or a function among its options", v)
			}
			done <- r
		}()
		r.result, r.err = call()
	}()
	select {
	case r := <-done:
		return r.result, r.err
	case <-ctx.Done():
		return result, ctx.Err()
	}
}
