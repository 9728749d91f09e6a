// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package delivery holds tests of the accounting for messages: how publishers number them, and
// what subscribers tell from the numbers. There is no code here but the tests.
package delivery
