# SPDX-FileCopyrightText: The tracedpubsub Authors
# SPDX-License-Identifier: Apache-2.0
import re
from types import SimpleNamespace
from urllib.parse import quote, unquote
from .baggage import get_all
from .context import Context
from .trace import get_current_span


def extract(carrier, context=None):
    ctx = Context(context or {})
    m = re.fullmatch("00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", carrier.get("traceparent", ""))
    if m:
        ctx["span"] = SimpleNamespace(trace_id=int(m[1], 16), span_id=int(m[2], 16))
    if carrier.get("baggage"):
        ctx["baggage"] = dict(map(unquote, item.split("=", 1)) for item in carrier["baggage"].split(",") if "=" in item)
    return ctx


def inject(carrier, context=None):
    span = get_current_span(context)
    if span:
        carrier["traceparent"] = f"00-{span.trace_id:032x}-{span.span_id:016x}-01"
    if get_all(context):
        carrier["baggage"] = ",".join(f"{name}={quote(value)}" for name, value in get_all(context).items())
