// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package io.opentelemetry.api.trace;

import java.util.concurrent.ThreadLocalRandom;

/** A span, with its parent. */
public record Span(String traceId, String spanId, Span parent) {
  public static Span childOf(Span parent) {
    ThreadLocalRandom random = ThreadLocalRandom.current();
    String traceId = parent != null ? parent.traceId : String.format("%016x%016x", random.nextLong(), random.nextLong());
    return new Span(traceId, String.format("%016x", random.nextLong()), parent);
  }

  public void end() {}
}
