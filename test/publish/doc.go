// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package publish tests that payloads arrive with the bytes that go-redis alone sends, and
// what publishing returns and records when a command is deferred, fails, or has a payload
// that go-redis refuses.
package publish
