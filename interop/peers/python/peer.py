# SPDX-FileCopyrightText: The tracedpubsub Authors
# SPDX-License-Identifier: Apache-2.0
"""The peer for redis-py. Its arguments are the path of the code from docs/wire-format.md, its role, host, port and channel, and
what the client returns: bytes or str."""
import base64, importlib.util, json, os, sys
import redis

try:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry import trace
    trace.set_tracer_provider(TracerProvider())
except ImportError:
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "standin"))
from opentelemetry import baggage, context, propagate, trace

path, role, host, port, channel, returns = sys.argv[1:]
spec = importlib.util.spec_from_file_location("snippet", path)
snippet = importlib.util.module_from_spec(spec)
spec.loader.exec_module(snippet)


def say(line):
    print(json.dumps(line), flush=True)


def report(payload):
    parent = trace.get_current_span().parent
    say({"payload": base64.b64encode(payload if isinstance(payload, bytes) else payload.encode()).decode(),
         "parent": f"{parent.trace_id:032x}-{parent.span_id:016x}" if parent else "",
         "baggage": dict(baggage.get_all())})


def read(client):
    with trace.get_tracer("peer").start_as_current_span("connect"):  # no message belongs to this span
        pubsub = client.pubsub()
        pubsub.subscribe(channel)
        for m in pubsub.listen():
            if m["type"] == "message":
                snippet.consume(channel, m["data"], report)


def write(client):
    for line in sys.stdin:
        m = json.loads(line)
        payload = base64.b64decode(m["payload"])
        token = context.attach(propagate.extract(m["carrier"], context.Context()))
        client.publish(channel, snippet.envelope(payload.decode() if m["text"] else payload))
        context.detach(token)
        say({"sent": True})


# With strict errors, which are the default, redis-py raises for a str that is not UTF-8, before any handler is called.
text = returns == "str"
client = redis.Redis(host, int(port), decode_responses=text, encoding_errors="replace" if text else "strict")
{"read": read, "write": write}[role](client)
