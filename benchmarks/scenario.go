// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import "strconv"

// Scenario is a task, with several ways to do it.
type Scenario struct {
	Name     string
	Variants []Variant
}

// Scenarios are all scenarios.
var Scenarios = []*Scenario{Publish, Parallel, Pipeline, Receive, Encode, Decode}

// Variant is one way to do the task of a scenario.
type Variant struct {
	Name string
	// Setup prepares the variant. The caller must close the Bench.
	Setup func(*Env, Setting) (*Bench, error)
}

// Variant returns the variant called name, or nil.
func (s *Scenario) Variant(name string) *Variant {
	for i := range s.Variants {
		if s.Variants[i].Name == name {
			return &s.Variants[i]
		}
	}
	return nil
}

// Bench is a variant that is ready to run. Its functions are called in turn, by one
// goroutine, with the same n. Do is what is measured. Each returns an error if it has not
// done everything.
type Bench struct {
	Prepare func(n int) error
	Do      func(n int) error
	Finish  func() error
	Close   func() error
}

func nothing() error        { return nil }
func noPreparing(int) error { return nil }

// Run calls the functions of b for n messages, and calls Do by around.
func (b *Bench) Run(n int, around func(do func() error) error) error {
	if err := b.Prepare(n); err != nil {
		return err
	}
	err := around(func() error { return b.Do(n) })
	if finished := b.Finish(); err == nil {
		err = finished
	}
	return err
}

// namer returns the names of channels in turn.
type namer struct {
	prefix string
	count  int
	next   int
	few    []string // all of them, if they are few
}

func newNamer(prefix string, count int) *namer {
	n := &namer{prefix: prefix, count: count}
	if count <= 1000 {
		for i := range count {
			n.few = append(n.few, n.name(i))
		}
	}
	return n
}

func (n *namer) name(i int) string { return n.prefix + strconv.Itoa(i) }

// take returns the next k names. If there are many, they are built here and not kept, since a
// million strings would change the work of the garbage collector.
func (n *namer) take(k int) []string {
	names := make([]string, k)
	for i := range names {
		if n.few != nil {
			names[i] = n.few[n.next]
		} else {
			names[i] = n.name(n.next)
		}
		n.next = (n.next + 1) % n.count
	}
	return names
}
