// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/codes"

	"github.com/tracedpubsub/tracedpubsub"
)

// process calls handle within the consumer span of msg.
func process(ctx context.Context, msg *tracedpubsub.Message, handle tracedpubsub.Handler) {
	ctx, span := msg.Start(ctx)
	defer span.End()
	if err := handle(ctx, msg); err != nil {
		span.SetStatus(codes.Error, strings.ToValidUTF8(err.Error(), "\uFFFD")) // it may quote a payload
	}
}
