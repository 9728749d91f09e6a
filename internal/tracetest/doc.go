// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package tracetest has what the tests of several packages share: recorders of
// spans, metrics and errors, assertions about them, clients and subscriptions under
// test, a fake server, and tables of the ways to publish, subscribe and consume.
// Only tests import it.
package tracetest
