# SPDX-FileCopyrightText: The tracedpubsub Authors
# SPDX-License-Identifier: Apache-2.0
from .context import get_current


def get_all(context=None):
    return (get_current() if context is None else context).get("baggage", {})
