// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package io.opentelemetry.context.propagation;

/** Reads a carrier. */
public interface TextMapGetter<C> {
  Iterable<String> keys(C carrier);

  String get(C carrier, String key);
}
