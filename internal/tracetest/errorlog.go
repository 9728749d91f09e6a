// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/tracedpubsub/tracedpubsub"
)

// ErrorLog is an error handler that keeps its errors. The zero value is ready to use.
type ErrorLog struct {
	mu     sync.Mutex
	errors []error
}

// Option returns the option that makes r the error handler.
func (r *ErrorLog) Option() tracedpubsub.Option { return tracedpubsub.WithErrorHandler(r.Handle) }

// Handle is the error handler.
func (r *ErrorLog) Handle(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, err)
}

// All returns the errors so far.
func (r *ErrorLog) All() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.errors)
}

// AssertOne asserts that there was one error, and that it is want.
func (r *ErrorLog) AssertOne(t *testing.T, want error) {
	t.Helper()
	if all := r.All(); len(all) != 1 || !errors.Is(all[0], want) {
		t.Errorf("the error handler got %v, want %v once", all, want)
	}
}

// AssertNone asserts that there was no error.
func (r *ErrorLog) AssertNone(t *testing.T) {
	t.Helper()
	if all := r.All(); len(all) != 0 {
		t.Errorf("the error handler got %v, want nothing", all)
	}
}
