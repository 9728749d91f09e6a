# SPDX-FileCopyrightText: The tracedpubsub Authors
# SPDX-License-Identifier: Apache-2.0
import enum, random
from contextlib import contextmanager
from types import SimpleNamespace
from . import context as contexts


class SpanKind(enum.Enum):
    INTERNAL = 0
    PRODUCER = 3
    CONSUMER = 4


def get_current_span(context=None):
    return (contexts.get_current() if context is None else context).get("span")


class _Tracer:
    @contextmanager
    def start_as_current_span(self, name, context=None, kind=SpanKind.INTERNAL):
        parent = get_current_span(context)
        trace_id = parent.trace_id if parent else random.getrandbits(128)
        span = SimpleNamespace(trace_id=trace_id, span_id=random.getrandbits(64), parent=parent)
        token = contexts.attach(contexts.Context(contexts.get_current(), span=span))
        try:
            yield span
        finally:
            contexts.detach(token)


def get_tracer(name):
    return _Tracer()
