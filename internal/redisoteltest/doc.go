// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package redisoteltest tests the hook beside other instrumentation of go-redis:
// redisotel, and the metrics of go-redis itself. It is a module of its own, so that users
// of the library do not download any of it.
package redisoteltest
