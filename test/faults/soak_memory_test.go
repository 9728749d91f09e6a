// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// mostStreams is how many channels of publishers a subscription keeps.
const mostStreams = 65_536

// filling is the payload of the messages of fill.
const filling = "filling"

// fill publishes on so many channels that the subscribers keep no more of them, and do not grow
// later.
func (p *soakPublisher) fill(t *testing.T) {
	t.Helper()
	const batch = 1024
	ctx := context.Background()
	for first := 0; first < mostStreams; first += batch {
		if _, err := p.rest.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i := range batch {
				p.alone.PublishTo(ctx, pipe, fmt.Sprint("soak:", filling, first+i), filling)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range p.soakers {
		if strings.HasPrefix(s.name, "P") {
			tracetest.EventuallyWithin(t, 3*tracetest.Patience, s.name+" has received them", func() bool { return s.received.Load() >= mostStreams })
		}
	}
}

// restart makes a new publisher of what is published on channels of their own. It has no
// numbers yet, so that the heap can be compared.
func (p *soakPublisher) restart() {
	p.sending.Lock()
	defer p.sending.Unlock()
	p.alone = p.accounting()
}
