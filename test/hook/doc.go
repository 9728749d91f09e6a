// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package hook tests automatic instrumentation: what a hook does with every command,
// client, pipeline and auto-pipeline of go-redis, beside other hooks and Clients, and
// that it changes nothing else.
package hook
