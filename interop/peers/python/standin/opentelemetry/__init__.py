# SPDX-FileCopyrightText: The tracedpubsub Authors
# SPDX-License-Identifier: Apache-2.0
"""Stands in for OpenTelemetry where it is not installed: the names and arguments that docs/wire-format.md uses, no more."""
