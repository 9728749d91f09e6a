// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"errors"
	"sync"
)

// Publish publishes one message after the other, each after the reply to the last one. There
// are no subscribers, since receiving is another scenario.
var Publish = &Scenario{"publish", publishVariants(one)}

// Parallel is Publish from eight goroutines at once.
var Parallel = &Scenario{"parallel publish", publishVariants(eight)}

// publisher is a way to publish.
type publisher struct {
	name    string
	connect func(*Env, Setting) (*publishing, error)
}

// publishing is a publisher that is connected.
type publishing struct {
	publish func(ctx context.Context, channel string, payload any) error
	batch   func(ctx context.Context, channels []string, payload any) error // nil: it cannot publish a batch
	close   func() error
}

var publishers = []publisher{
	{Raw, connectRaw},
	{Floor, connectFloor},
	{Library, connectLibrary()},
	{LibraryDropped, connectDropped},
	{LibraryAccounting, connectAccounting},
	{LibraryHook, connectHook()},
	{LibraryBatch, connectBatchHook},
	{Tutorial, connectTutorial},
	{Redisotel, connectRedisotel(true)},
	{RedisotelBare, connectRedisotel(false)},
	{Rueidis, connectRueidis},
	{Rueidisotel, connectRueidisotel},
}

func publishVariants(run func(context.Context, *publishing, []string, any) error) []Variant {
	var variants []Variant
	for _, p := range publishers {
		if p.name == LibraryBatch {
			continue // there is no batch
		}
		variants = append(variants, Variant{p.name, func(e *Env, s Setting) (*Bench, error) {
			return p.bench(e, s, run)
		}})
	}
	return variants
}

// bench runs a function with the names of the channels to publish on.
func (p publisher) bench(e *Env, s Setting, run func(context.Context, *publishing, []string, any) error) (*Bench, error) {
	connected, err := p.connect(e, s)
	if err != nil {
		return nil, err
	}
	var payload any = s.Payload()
	names := newNamer("publish:", s.Channels)
	var channels []string
	ctx := e.context(s)
	return &Bench{
		Prepare: func(n int) error {
			channels = names.take(n)
			return nil
		},
		Do:     func(int) error { return run(ctx, connected, channels, payload) },
		Finish: nothing,
		Close:  connected.close,
	}, nil
}

func one(ctx context.Context, p *publishing, channels []string, payload any) error {
	for _, channel := range channels {
		if err := p.publish(ctx, channel, payload); err != nil {
			return err
		}
	}
	return nil
}

func eight(ctx context.Context, p *publishing, channels []string, payload any) error {
	const goroutines = 8
	var failed [goroutines]error
	var wait sync.WaitGroup
	for i := range goroutines {
		wait.Go(func() {
			failed[i] = one(ctx, p, channels[len(channels)*i/goroutines:len(channels)*(i+1)/goroutines], payload)
		})
	}
	wait.Wait()
	return errors.Join(failed[:]...)
}
