// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package io.opentelemetry.context;

import io.opentelemetry.api.baggage.Baggage;
import io.opentelemetry.api.trace.Span;
import java.util.Map;

/** A span and baggage. */
public record Context(Span span, Baggage baggage) {
  private static final Context ROOT = new Context(null, new Baggage(Map.of()));
  private static final ThreadLocal<Context> CURRENT = ThreadLocal.withInitial(() -> ROOT);

  public static Context root() { return ROOT; }

  public static Context current() { return CURRENT.get(); }

  public Context with(Span span) { return new Context(span, baggage); }

  public Context with(Baggage baggage) { return new Context(span, baggage); }

  public Scope makeCurrent() {
    Context before = current();
    CURRENT.set(this);
    return () -> CURRENT.set(before);
  }
}
