// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package otlp tests what arrives at a collector when spans and metrics are exported with
// OTLP, and that docs/dashboards uses the names that metrics have in Prometheus then. It is a
// module of its own, so that users of the library do not download the exporters.
package otlp
