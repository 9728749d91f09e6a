// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"errors"

	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidisotel"
)

// Rueidis is another Redis client for Go, with its own instrumentation, which makes a span
// for each command and carries no context.
const (
	Rueidis     = "rueidis"
	Rueidisotel = "rueidisotel"
)

func (e *Env) rueidis() rueidis.ClientOption {
	return rueidis.ClientOption{InitAddress: []string{e.addr}, ForceSingleClient: true, DisableCache: true}
}

func (e *Env) rueidisotel(s Setting) (rueidis.Client, error) {
	options := []rueidisotel.Option{rueidisotel.WithTracerProvider(e.tracerProvider(s))}
	if mp := e.meterProvider(s); mp != nil {
		options = append(options, rueidisotel.WithMeterProvider(mp))
	}
	return rueidisotel.NewClient(e.rueidis(), options...)
}

func connectRueidis(e *Env, _ Setting) (*publishing, error) {
	client, err := rueidis.NewClient(e.rueidis())
	return publishRueidis(client), err
}

func connectRueidisotel(e *Env, s Setting) (*publishing, error) {
	client, err := e.rueidisotel(s)
	return publishRueidis(client), err
}

func publishRueidis(client rueidis.Client) *publishing {
	return &publishing{
		publish: func(ctx context.Context, channel string, payload any) error {
			return client.Do(ctx, client.B().Publish().Channel(channel).Message(payload.(string)).Build()).Error()
		},
		batch: func(ctx context.Context, channels []string, payload any) error {
			commands := make(rueidis.Commands, len(channels))
			for i, channel := range channels {
				commands[i] = client.B().Publish().Channel(channel).Message(payload.(string)).Build()
			}
			for _, result := range client.DoMulti(ctx, commands...) {
				if err := result.Error(); err != nil {
					return err
				}
			}
			return nil
		},
		close: func() error {
			client.Close()
			return nil
		},
	}
}

func receiveRueidis(e *Env, s Setting, name string) (*subscription, error) {
	client, err := rueidis.NewClient(e.rueidis())
	if err != nil {
		return nil, err
	}
	return subscribeRueidis(client, s, name), nil
}

func receiveRueidisotel(e *Env, s Setting, name string) (*subscription, error) {
	client, err := e.rueidisotel(s)
	if err != nil {
		return nil, err
	}
	return subscribeRueidis(client, s, name), nil
}

// subscribeRueidis subscribes at once. The first message waits for drain, and so do all
// others after it.
func subscribeRueidis(client rueidis.Client, s Setting, name string) *subscription {
	ctx, stop := context.WithCancel(context.Background())
	type draining struct {
		n      int
		handle func(string)
		done   chan struct{}
	}
	begin := make(chan *draining, 1)
	ended := make(chan error, 1)
	command := client.B().Subscribe().Channel(name).Build()
	if s.Channels > 1 {
		command = client.B().Psubscribe().Pattern(name).Build()
	}
	var d *draining
	go func() {
		ended <- client.Receive(ctx, command, func(m rueidis.PubSubMessage) {
			if d == nil {
				select {
				case d = <-begin:
				case <-ctx.Done():
					return
				}
			}
			d.handle(m.Message)
			if d.n--; d.n == 0 {
				close(d.done)
			}
		})
	}()
	return &subscription{
		drain: func(n int, handle func(string)) {
			work := &draining{n, handle, make(chan struct{})}
			begin <- work
			select {
			case <-work.done:
			case <-ctx.Done():
			}
		},
		close: func() error {
			stop()
			err := <-ended
			client.Close()
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		},
	}
}
