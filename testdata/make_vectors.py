#!/usr/bin/env python3
# SPDX-FileCopyrightText: The tracedpubsub Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes vectors.json: examples of every rule of the wire format, made without the library itself."""
import base64, json, re, sys

sys.setrecursionlimit(20000)

TP = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TP0 = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

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

def b64(b): return base64.b64encode(b).decode()

enc = []
def E(name, reason, carrier, payload):
    message = encode(carrier, payload)
    written = {} if sum(len(k) + len(v) for k, v in carrier.items()) > 16384 else carrier
    enc.append({"name": name, "level": level(message, payload, written), "reason": reason, "carrier": carrier,
                "payload_b64": b64(payload), "message_b64": b64(message)})

W = {"traceparent": TP}
E("text", "the plainest message", W, b"hello")
E("empty", "an empty payload is text", W, b"")
E("no-context", "tracing off: still an envelope", {}, b"hello")
E("unsampled", "an unsampled context travels too", {"traceparent": TP0}, b"x")
E("all-w3c", "order of the W3C fields is fixed, whatever the map order", {"baggage": "tenant=acme,user=7", "tracestate": "a=1,b=2", "traceparent": TP}, b"x")
E("b3", "other propagators' fields come after, sorted", {"x-b3-traceid": "0af7", "x-b3-sampled": "1", "b3": "0af7-b7ad-1"}, b"x")
E("w3c-and-b3", "W3C first, then the others", {"b3": "0af7-b7ad-1", "traceparent": TP}, b"x")
E("empty-field", "a field with an empty value is left out", {"traceparent": TP, "tracestate": ""}, b"x")
E("reserved-field", "a field named like a member is left out", {"traceparent": TP, "payload": "no", "size": "no"}, b"x")
E("field-escaped", "a field value with a quote is escaped", {"traceparent": TP, "baggage": 'k="v"\\'}, b"x")
E("json-object", "a JSON object is embedded as it is", W, b'{"id":7,"name":"x"}')
E("json-array", "and so is an array", W, b'[1,2,3]')
E("json-spaces", "white space inside a document stays", W, b'{ "id" : 7 ,\n "a":[ ] }')
E("json-trailing-newline", "json.Encoder's newline makes it text: no byte may be lost", W, b'{"id":7}\n')
E("json-leading-space", "likewise in front", W, b' {"id":7}')
E("json-string", "a JSON string is text: its quotes belong to the payload", W, b'"hello"')
E("json-number", "a number is text", W, b'42')
E("json-null", "null is text", W, b'null')
E("json-broken", "looks like a document, is not valid: text", W, b'{"id":7,}')
E("json-nan", "NaN is not JSON", W, b'[NaN]')
E("json-two-values", "two values are not one document", W, b'{}{}')
E("json-bad-utf8", "invalid UTF-8 inside a document: bytes", W, b'{"id":"\xff"}')
E("json-escapes", "escapes inside a document are not touched", W, rb'{"s":"\u00e9\ud83d\ude00\/"}')
E("json-lone-surrogate", "parsers of other languages refuse it: text", W, rb'{"s":"\ud800"}')
E("json-low-surrogate", "the second half alone", W, rb'["a\udc00"]')
E("json-surrogates-swapped", "the halves in the wrong order", W, rb'["\udc00\ud800"]')
E("json-surrogate-then-text", "the first half, and then a character", W, rb'["\ud800a"]')
E("json-surrogate-escaped-backslash", "no escape at all: a backslash and five characters", W, rb'["\\ud800"]')
E("json-surrogate-in-name", "in a name as well as in a value", W, rb'{"\uD83D":1}')
E("envelope-in-envelope", "an envelope is a payload like any other", W, encode(W, b"inner"))
E("quotes", "quote and backslash", W, b'say "hi" \\ bye')
E("controls", "every control character below 0x20", W, bytes(range(0x20)))
E("del-and-html", "DEL, HTML characters and slashes are not escaped", W, b'\x7f<a href="/x">&amp;</a>')
E("line-separators", "U+2028 and U+2029 are not escaped", W, "a\u2028b\u2029c".encode())
E("emoji", "multi-byte UTF-8 stays as it is", W, "žluťoučký 🐎 \u0000 end".encode())
E("invalid-utf8", "not UTF-8: base64", W, b"\xff\xfe\xfd")
E("truncated-utf8", "a cut rune is not UTF-8", W, "🐎".encode()[:3])
E("utf16-surrogate-bytes", "CESU-style surrogates are not UTF-8", W, b"\xed\xa0\x80")
E("all-bytes", "all 256 byte values", W, bytes(range(256)))
E("binary-64k", "a large binary payload", W, bytes((i * 7 + i // 251) % 256 for i in range(65536)))
E("text-64k", "a large text", W, (b"the quick brown fox " * 3277)[:65536])
E("depth-59", "59 levels is a document", W, b"[" * 59 + b"]" * 59)
E("depth-60", "the deepest document", W, b'{"a":' * 60 + b"1" + b"}" * 60)
E("too-deep", "61 levels is text", W, b'{"a":' * 61 + b"1" + b"}" * 61)
E("depth-brackets-in-strings", "brackets in strings are no levels", W, b'["' + b"[" * 100 + b'"]')
E("depth-siblings", "siblings are no levels", W, b"[" + b",".join([b"[]"] * 100) + b"]")
E("depth-1000", "far too deep", W, b"[" * 1000 + b"]" * 1000)
E("size-counts-bytes", "bytes, not characters or UTF-16 units", W, '{"s":"ž🐎"}'.encode())
E("number-text-kept", "numbers, member order and repetition are not ours to change", W, b'{"n":1E400,"m":-0,"k":1.0,"a":1,"a":2,"9":0,"1":0}')
E("huge-number", "however long", W, b'{"n":' + b"9" * 5000 + b'}')
E("bom", "a byte-order mark is kept, and no white space: text", W, b'\xef\xbb\xbf{"a":1}')
E("not-json-leading-zero", "RFC 8259", W, b'[01]')
E("not-json-control", "RFC 8259", W, b'["a\tb"]')
E("not-json-escape", "RFC 8259", W, rb'["\x"]')
E("not-json-brackets", "brackets must match", W, b'[1}')
E("field-order", "sorted by bytes", {"b3": "1", "X-B3-TraceId": "2", "a_b": "3", "a-b": "4"}, b"x")
E("field-case", "names are case-sensitive", {"Payload": "y", "Size": "z"}, b"x")
E("fields-too-large", "no fields rather than more than a reader accepts", {"traceparent": TP, "baggage": "k=" + "v" * 16384}, b"x")

dec = []
def D(name, rule, reason, message, payload, carrier=None, error=None):
    dec.append({"name": name, "rule": rule, "level": level(message, payload, carrier or {}), "reason": reason,
                "message_b64": b64(message), "payload_b64": b64(payload), "carrier": carrier or {}, "error": error})
def whole(name, rule, reason, message, carrier=None, error=None): D(name, rule, reason, message, message, carrier, error)

T = TP.encode()
D("canonical", "R1", "what a writer writes", b'{"tracedpubsub":1,"traceparent":"%s","payload":"hi"}' % T, b"hi", W)
D("spaces", "R1", "pretty-printed by an intermediary", b' {\n "tracedpubsub" : 1 ,\n "traceparent" : "%s",\n "payload" : "hi" }\n' % T, b"hi", W)
D("other-order", "R1", "member order is free", b'{"payload":"hi","traceparent":"%s","tracedpubsub":1}' % T, b"hi", W)
D("no-size", "R1", "size is optional", b'{"tracedpubsub":1,"traceparent":"%s","payload":{"a":[1,"}"]}}' % T, b'{"a":[1,"}"]}', W)
D("wrong-size", "R1", "size is only a hint", b'{"tracedpubsub":1,"traceparent":"%s","size":3,"payload":{"a":1}}' % T, b'{"a":1}', W)
D("size-then-member", "R1", "a member after the payload", b'{"tracedpubsub":1,"size":7,"payload":{"a":1},"traceparent":"%s"}' % T, b'{"a":1}', W)
D("trusted-size", "R0", "the N bytes are not looked into", b'{"tracedpubsub":1,"size":7,"payload":{"a":!}}', b'{"a":!}')
D("size-spans-members", "R0", "what R0 cuts out is what the writer meant", b'{"tracedpubsub":1,"size":19,"payload":{"a":1},"x":{"b":2}}', b'{"a":1},"x":{"b":2}')
D("size-after-number", "R1", "not R0: another kind of member in front", b'{"tracedpubsub":1,"n":1,"size":7,"payload":{"a":1}}', b'{"a":1}')
D("size-then-space", "R1", "not R0: white space", b'{"tracedpubsub":1,"size":7 ,"payload":{"a":1}}', b'{"a":1}')
D("accounted", "R0", "with all that may stand before the size", b'{"tracedpubsub":1,"traceparent":"%s","ts":1766000000000000,"src":"a","seq":3,"size":7,"payload":{"a":!}}' % T, b'{"a":!}', W)
D("accounted-other-order", "R1", "not R0", b'{"tracedpubsub":1,"seq":3,"ts":1766000000000000,"size":99,"payload":{"a":1}}', b'{"a":1}')
D("size-before-text", "R1", "size belongs to documents alone", b'{"tracedpubsub":1,"size":4,"payload":"hi"}', b"hi")
D("nested-size", "R1", "only the top level counts", b'{"tracedpubsub":1,"x":{"size":7,"payload":{"b":2}},"payload":{"a":1}}', b'{"a":1}')
D("inner-space", "R1", "the text of the value, not the space around it", b'{"tracedpubsub":1,"payload" : \t{ "a" : 1.0 }\r\n }', b'{ "a" : 1.0 }')
D("gson-base64", "R1", "escapes that some writers use", rb'{"tracedpubsub":1,"payload_base64":"YQ\u003d\u003d"}', b"a")
D("case-payload", "R1", "case-sensitive", b'{"tracedpubsub":1,"payload":"hi","PAYLOAD":"no"}', b"hi")
D("proto-member", "R1", "no name is magic", b'{"tracedpubsub":1,"traceparent":"%s","__proto__":"x","constructor":"y","payload":"hi"}' % T, b"hi", W)
D("non-string-fields", "R1", "not carrier", b'{"tracedpubsub":1,"traceparent":5,"baggage":null,"payload":"hi"}', b"hi")
deep = b"[" * 20000 + b"]" * 20000
D("deep-payload", "R1", "depth is no weapon", b'{"tracedpubsub":1,"payload":' + deep + b'}', deep)
D("deep-unknown", "R1", "nor beside the payload", b'{"tracedpubsub":1,"x":' + deep + b',"payload":"hi"}', b"hi")
edge = 16384 - len("traceparent") - len(TP) - len("baggage") - 2
D("carrier-16384", "R1", "the largest", b'{"tracedpubsub":1,"traceparent":"%s","baggage":"k=%s","payload":"hi"}' % (T, b"v" * edge), b"hi", {"traceparent": TP, "baggage": "k=" + "v" * edge})
D("carrier-16385", "R1", "one too many", b'{"tracedpubsub":1,"traceparent":"%s","baggage":"k=%s","payload":"hi"}' % (T, b"v" * (edge + 1)), b"hi", None, "carrier_too_large")
D("other-members-do-not-count", "R1", "only strings are carrier members", b'{"tracedpubsub":1,"traceparent":"%s","note":["%s"],"payload":"hi"}' % (T, b"v" * 20000), b"hi", W)
D("strings-count", "R1", "every string at the top level is a carrier member", b'{"tracedpubsub":1,"traceparent":"%s","note":"%s","payload":"hi"}' % (T, b"v" * 20000), b"hi", None, "carrier_too_large")
D("b3-multi", "R1", "fields of any propagator are read", b'{"tracedpubsub":1,"x-b3-traceid":"0af7651916cd43dd8448eb211c80319c","x-b3-spanid":"b7ad6b7169203331","x-b3-sampled":"1","payload":"hi"}', b"hi", {"x-b3-traceid": "0af7651916cd43dd8448eb211c80319c", "x-b3-spanid": "b7ad6b7169203331", "x-b3-sampled": "1"})
D("b3-document", "R0", "in front of a document, too", b'{"tracedpubsub":1,"b3":"0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1","size":8,"payload":{"id":7}}', b'{"id":7}', {"b3": "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"})
D("two-traceparents", "R1", "two readers could disagree: a field that comes twice is left out", b'{"tracedpubsub":1,"traceparent":"%s","traceparent":"%s","tracestate":"a=1","payload":"a"}' % (T, TP0.encode()), b"a", {"tracestate": "a=1"})
D("two-traceparents-one-number", "R1", "a number is no field", b'{"tracedpubsub":1,"traceparent":"%s","traceparent":5,"payload":"a"}' % T, b"a", W)
D("surrogate-in-carrier", "R1", "no bytes correspond to it: left out", rb'{"tracedpubsub":1,"traceparent":"%s","baggage":"\ud800","payload":"a"}' % T, b"a", W)
D("document-two-fields", "R1", "not R0: a field twice", b'{"tracedpubsub":1,"b3":"0","b3":"1","size":7,"payload":{"a":1}}', b'{"a":1}')
D("huge-size", "R1", "a size past the end", b'{"tracedpubsub":1,"size":99999999999999999999,"payload":{"a":1}}', b'{"a":1}')
D("unknown-members", "R1", "unknown members are ignored; string ones reach the carrier", b'{"tracedpubsub":1,"x":{"payload":"no"},"y":[1],"n":5,"traceparent":"%s","payload":"hi"}' % T, b"hi", W)
D("number-payload", "R1", "any JSON value is accepted", b'{"tracedpubsub":1,"payload":42}', b"42")
D("null-payload", "R1", "even null", b'{"tracedpubsub":1,"payload":null}', b"null")
D("escaped-text", "R1", "all escapes", rb'{"tracedpubsub":1,"payload":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}', '"\\/\b\f\n\r\té😀'.encode())
D("escaped-key", "R1", "an escaped member name is the same name", rb'{"tracedpubsub":1,"p\u0061yload":"hi"}', b"hi")
D("base64", "R1", "bytes", b'{"tracedpubsub":1,"payload_base64":"//79"}', b"\xff\xfe\xfd")
D("empty-base64", "R1", "no bytes", b'{"tracedpubsub":1,"payload_base64":""}', b"")
D("reserved-extras", "R1", "ts, src and seq are not an error", b'{"tracedpubsub":1,"ts":1766000000000000,"src":"a","seq":3,"payload":"hi"}', b"hi")
whole("truncated", "R2", "cut in the middle", b'{"tracedpubsub":1,"traceparent":"%s","payl' % T, None, "malformed")
whole("no-payload", "R2", "neither payload member", b'{"tracedpubsub":1,"traceparent":"%s"}' % T, None, "malformed")
whole("both-payloads", "R2", "both payload members", b'{"tracedpubsub":1,"payload":"a","payload_base64":"YQ=="}', None, "malformed")
whole("two-payloads", "R2", "the payload twice", b'{"tracedpubsub":1,"payload":"a","payload":"b"}', None, "malformed")
whole("bad-base64", "R2", "not base64", b'{"tracedpubsub":1,"payload_base64":"%%%"}', None, "malformed")
whole("base64-number", "R2", "not a string", b'{"tracedpubsub":1,"payload_base64":5}', None, "malformed")
whole("lone-surrogate", "R2", "no bytes correspond to it", rb'{"tracedpubsub":1,"payload":"\ud800"}', None, "malformed")
whole("trailing-bytes", "R2", "something after the object", b'{"tracedpubsub":1,"payload":"a"}x', None, "malformed")
whole("bad-utf8-string", "R2", "invalid UTF-8 in the string", b'{"tracedpubsub":1,"payload":"\xff"}', None, "malformed")
whole("version-zero", "R2", "no such version", b'{"tracedpubsub":0,"payload":"a"}', None, "malformed")
whole("version-string", "R2", "the marker is a number", b'{"tracedpubsub":"1","payload":"a"}', None, "malformed")
whole("marker-twice", "R2", "two readers could disagree", b'{"tracedpubsub":1,"tracedpubsub":1,"payload":"a"}', None, "malformed")
whole("escaped-duplicate", "R2", "names are compared unescaped", rb'{"tracedpubsub":1,"payload":"a","p\u0061yload":"b"}', None, "malformed")
whole("marker-1.0", "R2", "the text is 1", b'{"tracedpubsub":1.0,"payload":"a"}', None, "malformed")
whole("raw-newline", "R2", "not JSON", b'{"tracedpubsub":1,"payload":"a\nb"}', None, "malformed")
whole("base64-no-padding", "R2", "strict base64", b'{"tracedpubsub":1,"payload_base64":"YQ"}', None, "malformed")
whole("base64-newline", "R2", "strict base64", rb'{"tracedpubsub":1,"payload_base64":"//79\n"}', None, "malformed")
whole("base64-trailing-bits", "R2", "strict base64", b'{"tracedpubsub":1,"payload_base64":"YR=="}', None, "malformed")
whole("bad-utf8-unknown", "R2", "not UTF-8, not JSON", b'{"tracedpubsub":1,"x":"\xff","payload":"a"}', None, "malformed")
whole("version-2-truncated", "R2", "claimed, and not JSON", b'{"tracedpubsub":2,"blob":"a', None, "malformed")
whole("version-2-late", "R3", "any order", b'{"traceparent":"%s","tracedpubsub":2,"payload":"a"}' % T, W, "unsupported")
whole("version-2", "R3", "from a later release", b'{"tracedpubsub":2,"traceparent":"%s","blob":"a"}' % T, W, "unsupported")
whole("cloudevent", "R4", "a CloudEvent with the distributed-tracing extension", b'{"specversion":"1.0","id":"1","source":"/s","type":"t","traceparent":"%s","datacontenttype":"application/json","data":{"a":1}}' % T, W)
whole("hand-made", "R4", "trace keys merged into the user's JSON", b'{"data":{"any":"111"},"traceId":"0af7651916cd43dd8448eb211c80319c","traceparent":"%s"}' % T, W)
whole("cloudevent-big-data", "R4", "the data does not count against the carrier", b'{"specversion":"1.0","traceparent":"%s","data":"%s"}' % (T, b"x" * 20000), W)
whole("spaced-broken-envelope", "R4", "the sixteen bytes are literal", b'{ "tracedpubsub":1,"traceparent":"%s"}' % T, W)
whole("foreign-duplicate", "R5", "a repeated name is left out", b'{"traceparent":"%s","traceparent":"%s"}' % (T, TP0.encode()))
D("size-negative", "R1", "size is ignored", b'{"payload":{"a":1},"size":-12,"tracedpubsub":1}', b'{"a":1}')
D("size-too-large", "R1", "size is ignored", b'{"tracedpubsub":1,"size":9007199254740991,"payload":{"a":1}}', b'{"a":1}')
D("size-true", "R1", "size is ignored", b'{"tracedpubsub":1,"size":true,"payload":{"a":1}}', b'{"a":1}')
D("size-null", "R1", "size is ignored", b'{"tracedpubsub":1,"size":null,"payload":{"a":1}}', b'{"a":1}')
D("size-array", "R1", "size is ignored", b'{"tracedpubsub":1,"size":[],"payload":{"a":1}}', b'{"a":1}')
D("size-of-another", "R1", "payload is not the last member", b'{"tracedpubsub":1,"payload":[1],"size":4,"other":{"payload":[2]}}', b"[1]")
D("name-nul", "R1", "a name may begin with NUL", rb'{"tracedpubsub":1,"payload":{"\u0000a":1}}', rb'{"\u0000a":1}')
whole("marker-true", "R2", "true is not 1", b'{"tracedpubsub":true,"payload":"x"}', None, "malformed")
whole("case-traceparent", "R5", "case-sensitive", b'{"Traceparent":"%s"}' % T)
whole("bom-envelope", "R5", "a byte-order mark is not white space", b'\xef\xbb\xbf{"tracedpubsub":1,"payload":"a"}')
whole("nested-traceparent", "R5", "only the top level counts", b'{"data":{"traceparent":"%s"}}' % T)
whole("traceparent-number", "R5", "not a string", b'{"traceparent":5}')
whole("marker-nested", "R5", "only the top level counts", b'{"a":{"tracedpubsub":1,"payload":"x"}}')
whole("plain-text", "R5", "a publisher without the library", b"hello")
whole("plain-json", "R5", "its JSON", b'{"payload":"mine","size":4}')
whole("plain-array", "R5", "an array", b'[{"tracedpubsub":1,"payload":"x"}]')
whole("plain-binary", "R5", "its bytes", b"\x00\x01\xff{")
whole("plain-empty", "R5", "nothing at all", b"")
whole("brace", "R5", "just a brace", b"{")
whole("broken-json", "R5", "broken, and no marker", b'{"traceparent":"%s"' % T)
whole("deep", "R5", "depth is no weapon", b"[" * 20000)
big = b"k=" + b"v" * 20000
D("carrier-too-large", "R1", "the context is dropped, the payload is not", b'{"tracedpubsub":1,"traceparent":"%s","baggage":"%s","payload":"hi"}' % (T, big), b"hi", None, "carrier_too_large")

json.dump({"version": 1, "notes": "carrier lists the fields that a W3C and B3 propagator sees, and no others. level: simple is what a reader of a dozen lines gets right, its bytes and its traceparent; full is for readers that hold to every rule. error: null, malformed, unsupported or carrier_too_large", "encode": enc, "decode": dec}, open(sys.argv[1] if len(sys.argv) > 1 else "vectors.json", "w"), ensure_ascii=True, indent=1)
print(len(enc), "encode,", len(dec), "decode")
