// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import "context"

// CountReconnect counts a new connection that has replaced a lost one.
func (t *Telemetry) CountReconnect(ctx context.Context, server *Server) {
	in := t.instruments()
	defer t.contain(meterProvider)
	if in.reconnects.Enabled(ctx) {
		in.reconnects.Add(ctx, 1, in.series.get("", series{server: server}).add[:]...)
	}
}

// CountSubscriptionError counts a failure of a subscription. error.type has the same values
// as for publishing.
func (t *Telemetry) CountSubscriptionError(ctx context.Context, server *Server, err error) {
	in := t.instruments()
	defer t.contain(meterProvider)
	if in.errors.Enabled(ctx) {
		errorType, _ := t.describe(err, clientErrorType)
		in.errors.Add(ctx, 1, in.series.get("", series{server: server, errorType: errorType}).add[:]...)
	}
}
