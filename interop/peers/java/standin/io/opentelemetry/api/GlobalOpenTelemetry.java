// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package io.opentelemetry.api;

import io.opentelemetry.api.baggage.Baggage;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import io.opentelemetry.context.propagation.TextMapSetter;
import java.util.regex.Pattern;

/** Stands in for OpenTelemetry, which Debian has no package of: the names and arguments that docs/wire-format.md uses. */
public final class GlobalOpenTelemetry {
  private static final Pattern TRACEPARENT = Pattern.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}");

  public static Propagators getPropagators() { return new Propagators(); }

  public static Tracer getTracer(String name) { return new Tracer(); }

  public static final class Propagators {
    public Propagators getTextMapPropagator() { return this; }

    public <C> Context extract(Context context, C carrier, TextMapGetter<C> getter) {
      String traceparent = getter.get(carrier, "traceparent");
      var m = TRACEPARENT.matcher(traceparent == null ? "" : traceparent);
      if (m.matches()) context = context.with(new Span(m.group(1), m.group(2), null));
      String baggage = getter.get(carrier, "baggage");
      return baggage == null ? context : context.with(Baggage.parse(baggage));
    }

    public <C> void inject(Context context, C carrier, TextMapSetter<C> setter) {
      Span span = context.span();
      if (span != null) setter.set(carrier, "traceparent", "00-" + span.traceId() + "-" + span.spanId() + "-01");
      if (!context.baggage().asMap().isEmpty()) setter.set(carrier, "baggage", context.baggage().format());
    }
  }

  public static final class Tracer {
    private Context parent = Context.current();

    public Tracer spanBuilder(String name) { return this; }

    public Tracer setParent(Context context) {
      parent = context;
      return this;
    }

    public Tracer setSpanKind(SpanKind kind) { return this; }

    public Span startSpan() { return Span.childOf(parent.span()); }
  }
}
