# SPDX-FileCopyrightText: The tracedpubsub Authors
# SPDX-License-Identifier: Apache-2.0
"""What a writer writes, and what readers make of a message, by the rules of the wire format and without the library."""
import base64, json, re, sys

sys.setrecursionlimit(20000)

def jstr(s):
    out = ['"']
    short = {'"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t'}
    for c in s:
        if c in short: out.append(short[c])
        elif ord(c) < 0x20: out.append('\\u%04x' % ord(c))
        else: out.append(c)
    return ''.join(out) + '"'

def depth(s):
    d = best = 0; inside = esc = False
    for c in s:
        if inside:
            if esc: esc = False
            elif c == '\\': esc = True
            elif c == '"': inside = False
        elif c == '"': inside = True
        elif c in '{[': d += 1; best = max(best, d)
        elif c in '}]': d -= 1
    return best

def lone_surrogate(s):
    """Says whether a \\u escape in the JSON text s is half of a pair without the other half."""
    units = re.findall(r'\\(?:u([0-9a-fA-F]{4})|.)|([^\\]+)', s, re.S)
    high = False
    for hexa, _ in units:
        u = int(hexa, 16) if hexa else 0
        low = 0xDC00 <= u <= 0xDFFF
        if low != high: return True
        high = 0xD800 <= u <= 0xDBFF
    return high

def is_document(b):
    try: s = b.decode('utf-8')
    except UnicodeDecodeError: return False
    if not s or s[0] not in '{[' or s[-1] not in '}]': return False
    if depth(s) > 60 or lone_surrogate(s): return False
    def no_const(_): raise ValueError
    try: json.loads(s, parse_constant=no_const, parse_int=str, parse_float=str)
    except (ValueError, RecursionError): return False
    return True

def encode(carrier, payload):
    first = [k for k in ("traceparent", "tracestate", "baggage") if carrier.get(k)]
    rest = sorted(k for k in carrier if k not in first and carrier[k] and k not in
                  ("tracedpubsub", "size", "payload", "payload_base64", "ts", "src", "seq", "traceparent", "tracestate", "baggage"))
    if sum(len(k.encode()) + len(carrier[k].encode()) for k in first + rest) > 16384: first = rest = []
    out = ['{"tracedpubsub":1']
    for k in first + rest: out.append(',' + jstr(k) + ':' + jstr(carrier[k]))
    head = ''.join(out).encode()
    if is_document(payload): body = b',"size":%d,"payload":' % len(payload) + payload
    else:
        try: body = (',"payload":' + jstr(payload.decode('utf-8'))).encode()
        except UnicodeDecodeError: body = b',"payload_base64":"' + base64.b64encode(payload) + b'"'
    return head + body + b'}'

# The level of a vector says who must get it right. A reader of a dozen lines has nothing but a JSON parser and three
# rules: an object is a carrier, one with the marker 1 has a payload, and anything else is the payload itself. "simple" is
# what such a reader in any language gets right, the bytes and the trace. That leaves out what it does not check, and what
# the JSON parsers of the languages do not agree about. All else is "full".

def dozen_lines(message):
    """What the reader of a dozen lines makes of a message: the payload and the traceparent."""
    parent = None
    try:
        m = json.loads(message)
        if not isinstance(m, dict): return message, None
        parent = m.get("traceparent") if isinstance(m.get("traceparent"), str) else None
        if isinstance(m.get("tracedpubsub"), bool) or m.get("tracedpubsub") != 1: return message, parent
        if "payload" not in m: # a decoder that takes what it can
            digits = re.sub("[^A-Za-z0-9+/]", "", m["payload_base64"])
            digits = digits[:len(digits) - (len(digits) % 4 == 1)]
            return base64.b64decode(digits + "=" * (-len(digits) % 4)), parent
        if isinstance(m["payload"], str): return m["payload"].encode(), parent
        end = len(message) - 1
        start = end - m.get("size", 0)
        if message[max(start - 10, 0):max(start, 0)] == b'"payload":': return message[start:end], parent
        return json.dumps(m["payload"], separators=(",", ":"), ensure_ascii=False).encode(), parent
    except (ValueError, TypeError, KeyError): return message, parent

def parsers_agree(message):
    """Says whether all JSON parsers read the same from a message, or all refuse it."""
    try: text = message.decode()
    except UnicodeDecodeError: return False
    if text.startswith("\ufeff") or depth(text) > 61 or lone_surrogate(text): return False
    agree = True
    def members(pairs):
        nonlocal agree
        agree = agree and len(dict(pairs)) == len(pairs) # the first one, the last one, or an error
        agree = agree and not any(name.startswith("\0") for name, _ in pairs) # objects of PHP have no such name
        return dict(pairs)
    def number(digits):
        nonlocal agree
        agree = agree and len(digits) <= 300 and abs(float(digits)) <= 2**53 # a number of any language
    try: json.loads(text, object_pairs_hook=members, parse_int=number, parse_float=number)
    except ValueError: pass
    return agree

def level(message, payload, carrier):
    # OpenTelemetry for PHP ignores the case of names.
    simple = parsers_agree(message) and b'"Traceparent"' not in message and dozen_lines(message) == (payload, carrier.get("traceparent"))
    return "simple" if simple else "full"

class Number(str):
    """The text of a number."""

def accounting(message, rule):
    """What an envelope says about its delivery, or None if it says nothing that a reader can use."""
    if rule not in ("R0", "R1"): return None
    if rule == "R0": message = message[:message.index(b',"size":')] + b"}" # the payload need not be JSON
    try: members = json.loads(message, object_pairs_hook=list, parse_int=Number, parse_float=Number)
    except RecursionError: return None # too deep for this parser; no such vector has an accounting
    ts, src, seq = ([value for name, value in members if name == wanted] for wanted in ("ts", "src", "seq"))
    def exact(values): # a whole number, written as one
        return len(values) == 1 and isinstance(values[0], Number) and re.fullmatch("[0-9]{1,16}", values[0]) and int(values[0]) <= 2**53
    if not exact(ts) or not exact(seq) or len(src) != 1 or type(src[0]) is not str: return None
    try: size = len(src[0].encode())
    except UnicodeEncodeError: return None # half of a surrogate pair
    return {"ts": int(ts[0]), "src": src[0], "seq": int(seq[0])} if 0 < size <= 64 else None
