// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package interop shows how to use tracedpubsub with clients other than go-redis: rueidis and
// redigo. Its tests let clients in several languages publish to and read from each other, with
// the code that docs/wire-format.md has for them.
//
// It is not for import: copy what you need. It is a module of its own, so that users of the
// library do not download any of the clients.
package interop
