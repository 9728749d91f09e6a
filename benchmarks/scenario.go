// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import "strconv"

// Scenario is something to do with messages, in several ways.
type Scenario struct {
	Name     string
	Variants []Variant
}

// Scenarios are all there are.
var Scenarios = []*Scenario{Publish, Parallel, Pipeline, Receive, Encode, Decode}

// Variant is one way to do what a scenario asks for.
type Variant struct {
	Name string
	// Setup makes it ready; the caller closes the Bench.
	Setup func(*Env, Setting) (*Bench, error)
}

// Variant returns the one that is called name, or nil.
func (s *Scenario) Variant(name string) *Variant {
	for i := range s.Variants {
		if s.Variants[i].Name == name {
			return &s.Variants[i]
		}
	}
	return nil
}

// Bench is a variant that is ready to run. Its functions are called in turn, by one
// goroutine, with the same n: Do is what is measured. Each is an error if it did
// not do all that it should.
type Bench struct {
	Prepare func(n int) error
	Do      func(n int) error
	Finish  func() error
	Close   func() error
}

func nothing() error        { return nil }
func noPreparing(int) error { return nil }

// Run calls what is to be called for n messages, and around for Do alone.
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

// namer gives the names of channels in turn.
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

// take returns the next k names. Those of a million are made here, and not kept: a
// million of strings would make the garbage collector's work another one.
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
