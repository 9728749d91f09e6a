// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package io.opentelemetry.context.propagation;

/** Writes a carrier. */
public interface TextMapSetter<C> {
  void set(C carrier, String key, String value);
}
