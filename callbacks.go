// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub

import "fmt"

// The functions that an application gives to options are called here. A panic in one of them
// does not reach the caller of this package, who may not know of it, nor does it end the
// program on a goroutine of this package.

// traces reports whether the filter of [WithFilter] includes channel.
func (c *config) traces(channel string) bool {
	return c.filter == nil || c.includes("the function given to WithFilter", c.filter, channel)
}

// envelopes reports whether the filter of [WithEnvelopeFilter] includes channel.
func (c *config) envelopes(channel string) bool {
	return c.envelopeFilter == nil || c.includes("the function given to WithEnvelopeFilter", c.envelopeFilter, channel)
}

func (c *config) includes(what string, filter func(string) bool, channel string) (included bool) {
	included = true // the result if the filter panics
	defer c.contain(what)
	return filter(channel)
}

// templateOf returns the template of a channel, or "" if it has none.
func (c *config) templateOf(channel string) (template string) {
	if c.template == nil {
		return ""
	}
	defer c.contain("the function given to WithDestinationTemplate")
	return c.template(channel)
}

// readForeign returns what the function of [WithForeignEnvelope] makes of message.
func (c *config) readForeign(message string) (e Envelope, ok bool) {
	defer c.contain("the function given to WithForeignEnvelope")
	return c.foreignEnvelope(message)
}

// contain is deferred around a call of what the application has provided. It recovers and
// reports a panic. what names what was called.
func (c *config) contain(what string) {
	if v := recover(); v != nil {
		c.handlePanic(what, v)
	}
}

// handlePanic reports a panic with the value v.
func (c *config) handlePanic(what string, v any) {
	if err, ok := v.(error); ok {
		c.handle(fmt.Errorf("tracedpubsub: panic in %s: %w", what, err))
	} else {
		c.handle(fmt.Errorf("tracedpubsub: panic in %s: %v", what, v))
	}
}

// handle reports err to the error handler. It never panics.
func (c *config) handle(err error) {
	defer func() { _ = recover() }() // a panic of the error handler cannot be reported anywhere
	c.errorHandler(err)
}
