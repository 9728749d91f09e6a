// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package io.opentelemetry.api.trace;

/** The kinds of spans. */
public enum SpanKind { INTERNAL, CONSUMER }
