// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import "strings"

// payloads are published by every writer. What a reader gets must be the same bytes.
var payloads = []struct{ name, reason, payload string }{
	{"text", "the plainest", "hello"},
	{"empty", "not the same as none", ""},
	{"spaces", "nothing is trimmed", " hello \t"},
	{"newline at the end", "nor cut", "hello\n"},
	{"CR and LF", "lines of the protocol of Redis", "a\r\nb\r\n$5\r\n"},
	{"quotes", "escaped in JSON", `say "hi" \ bye \u0041`},
	{"slashes and HTML", "escaped by some", `</a href="/x">&amp;'`},
	{"control characters", "escaped by all", controls()},
	{"NUL", "the end of a string in C", "a\x00b"},
	{"DEL", "escaped by few", "a\x7fb"},
	{"non-ASCII", "two bytes each", "žluťoučký kůň"},
	{"emoji", "a surrogate pair in UTF-16", "🐎🇨🇿"},
	{"U+2028 and U+2029", "line ends in old JavaScript", "a\u2028b\u2029c"},
	{"U+FFFD", "valid, and not a sign of an error", "a\ufffdb"},
	{"U+FFFF and U+10FFFF", "no characters, and valid", "\uffff\U0010ffff"},
	{"combining", "nothing is normalized", "e\u0301 \u00e9"},
	{"byte-order mark", "skipped by some", "\ufeffhello"},
	{"byte-order mark and JSON", "skipped by some", "\ufeff{\"a\":1}"},
	{"object", "a document", `{"id":7,"n":"x"}`},
	{"array", "a document", `[1,2,3]`},
	{"empty object", "not an array", `{}`},
	{"empty array", "not an object", `[]`},
	{"objects in arrays", "PHP has one type for both", `[{},[],{"0":[]}]`},
	{"document with spaces", "its bytes", "{ \"id\" : 7 ,\n \"a\":[ ] }"},
	{"document with newline at the end", "of json.Encoder", "{\"id\":7}\n"},
	{"document with non-ASCII", "its length is in bytes", `{"s":"ž🐎"}`},
	{"document with escapes", "its bytes", `{"s":"\u00e9\ud83d\ude00\/"}`},
	{"document with 2^53+1", "not a float64", `{"n":9007199254740993}`},
	{"document with 2^64", "not an int64", `{"n":18446744073709551616}`},
	{"document with 5,000 digits", "refused by Python's int", `{"n":` + strings.Repeat("9", 5000) + `}`},
	{"document with 1e400", "no float64 at all", `[1e400,-1E400]`},
	{"document with 1.0 and -0", "not 1 and 0", `[1.0,-0,1e2]`},
	{"document with members twice", "both of them", `{"a":1,"a":2}`},
	{"document with member order", "integers first in JavaScript", `{"b":1,"9":0,"1":0,"":0}`},
	{"document with __proto__", "no name is magic", `{"__proto__":{"x":1},"constructor":1,"json_class":"String"}`},
	{"document with NUL in a name", "refused by PHP's objects", `{"\u0000a":1}`},
	{"document like an envelope", "a payload like any other", `{"tracedpubsub":1,"payload":"inner"}`},
	{"document with size and payload", "only the top level counts", `{"size":3,"payload":{"a":1}}`},
	{"half a surrogate pair", "refused by many", `{"s":"\ud800"}`},
	{"the other half", "likewise", `["a\udc00"]`},
	{"half a pair in a name", "likewise", `{"\uD83D":1}`},
	{"NaN", "no JSON, and read by some", `[NaN,Infinity]`},
	{"trailing comma", "no JSON, and read by some", `{"a":1,}`},
	{"comment", "no JSON, and read by some", `{"a":1}/**/`},
	{"two documents", "no JSON", `{}{}`},
	{"number", "text, whatever it looks like", `42`},
	{"large number", "text", `9007199254740993`},
	{"true", "text", `true`},
	{"null", "text", `null`},
	{"JSON string", "its quotes belong to it", `"hello"`},
	{"envelope", "what was published, and no more", `{"tracedpubsub":1,"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","payload":"x"}`},
	{"bytes", "not UTF-8", "\xff\xfe\xfd"},
	{"all bytes", "each of them", allBytes()},
	{"half a character", "cut", "🐎"[:3]},
	{"surrogates in UTF-8", "not UTF-8", "\xed\xa0\x80\xed\xb0\x80"},
	{"overlong", "not UTF-8", "\xc0\x80"},
	{"document with bad UTF-8", "not UTF-8", "{\"id\":\"\xff\"}"},
	{"depth 59", "a document", deep(59)},
	{"depth 60", "the deepest document", deep(60)},
	{"depth 61", "text", deep(61)},
	{"depth 101", "deeper than Ruby reads", deep(101)},
	{"depth 513", "deeper than PHP reads", deep(513)},
	{"depth 1001", "deeper than Python reads", deep(1001)},
	{"depth 20,000", "deeper than a stack", deep(20000)},
	{"64 KiB of JSON", "more than a buffer", `{"s":"` + strings.Repeat("x", 1<<16) + `"}`},
	{"64 KiB of bytes", "more than a buffer", strings.Repeat("\xff\x00", 1<<15)},
	{"1 MiB of text", "the largest, and the last: not all writers publish it", strings.Repeat("0123456789abcdeř", 1<<20/17)},
}

func controls() string {
	var b strings.Builder
	for c := range byte(0x20) {
		b.WriteByte(c)
	}
	return b.String()
}

func allBytes() string {
	var b strings.Builder
	for c := range 256 {
		b.WriteByte(byte(c))
	}
	return b.String()
}

func deep(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
