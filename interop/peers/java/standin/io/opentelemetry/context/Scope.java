// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package io.opentelemetry.context;

/** Ends makeCurrent. */
public interface Scope extends AutoCloseable {
  @Override
  void close();
}
