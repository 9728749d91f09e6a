// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package faults tests what becomes of subscriptions when servers and networks fail.
// TestMatrix does each fault to each kind of subscription, and accounts for every
// message. TestSoak and TestSoakFailovers do random faults, one after the other, at full
// speed.
package faults
