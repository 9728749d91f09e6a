// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

// Ending says how a function ended. If it neither returned nor panicked, it called
// runtime.Goexit.
type Ending struct {
	Returned bool
	Panicked any // the value of the panic
}

// EndingOf runs f on a goroutine of its own, waits for it, and returns how it ended.
func EndingOf(f func()) (end Ending) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { end.Panicked = recover() }()
		f()
		end.Returned = true
	}()
	<-done
	return end
}
