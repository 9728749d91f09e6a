// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package propagators tests that an envelope carries what the propagators of OpenTelemetry's
// contrib repository inject, and that they find it there. It is a module of its own, so that
// users of the library do not download them.
package propagators
