// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package subscription tests the life of a subscription: topics that are added and
// removed, connections that are lost and replaced, refusals, outages and how they are
// reported, clusters and rings, messages of other publishers, and its end.
package subscription
