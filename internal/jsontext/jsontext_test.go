// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

func TestDocument(t *testing.T) {
	for _, tt := range []struct {
		name, text, reason string
		want               bool
	}{
		{"empty object", `{}`, "the smallest", true},
		{"empty array", `[]`, "the smallest", true},
		{"nested empty", `[[],{},[{}],{"a":{}}]`, "brackets that close at once", true},
		{"white space inside", "{ \"a\" :\t[ 1 ,\r\n2 ] }", "all four kinds, wherever it may stand", true},
		{"scalars", `[true,false,null,0,-0,10,1.5,-1.5e+10,2E-3,""]`, "every kind of them", true},
		{"escapes", `["\"\\\/\b\f\n\r\t\u00eF"]`, "every kind of them", true},
		{"surrogate pairs", `{"\uD83D\uDE00":"a\ud83d\ude00\ud83d\ude00"}`, "two escapes for one character", true},
		{"escaped backslash", `["\\ud800"]`, "a backslash and five characters", true},
		{"long plain string", `["` + strings.Repeat("x", 5000) + `"]`, "more than one window", true},
		{"same name twice", `{"a":1,"a":2}`, "RFC 8259 allows it", true},

		{"nothing", ``, "no value", false},
		{"one bracket", `[`, "too short", false},
		{"scalar", `1`, "no document", false},
		{"string", `"a"`, "no document", false},
		{"space in front", ` {}`, "it would be lost", false},
		{"newline behind", "{}\n", "it would be lost", false},
		{"two values", `[][]`, "one value", false},
		{"wrong bracket", `[}`, "brackets match", false},
		{"wrong bracket inside", `[{"a":[}]]`, "brackets match", false},
		{"object closed as array", `[{"a":1]]`, "brackets match", false},
		{"array closed as object", `{"a":[1}}`, "brackets match", false},
		{"missing bracket", `[[]`, "brackets match", false},
		{"bracket too many", `[]]`, "brackets match", false},
		{"comma first", `[,1]`, "a value stands in front", false},
		{"comma last in array", `[1,]`, "a value follows", false},
		{"comma last in object", `{"a":1,}`, "a member follows", false},
		{"no comma", `[1 2]`, "values are separated", false},
		{"no colon", `{"a" 1}`, "name and value are separated", false},
		{"no name", `{1:2}`, "names are strings", false},
		{"no value", `{"a":}`, "names have values", false},
		{"name only", `{"a"}`, "names have values", false},
		{"colon in array", `["a":1]`, "arrays have no names", false},
		{"leading zero", `[01]`, "JSON has no octal", false},
		{"plus", `[+1]`, "not JSON", false},
		{"no digits", `[-]`, "not JSON", false},
		{"point last", `[1.]`, "not JSON", false},
		{"point first", `[.1]`, "not JSON", false},
		{"no exponent", `[1e]`, "not JSON", false},
		{"sign of nothing", `[1e+]`, "not JSON", false},
		{"hexadecimal", `[0x10]`, "not JSON", false},
		{"NaN", `[NaN]`, "not JSON", false},
		{"literal cut off", `[tru]`, "not JSON", false},
		{"literal continued", `[truest]`, "not JSON", false},
		{"literal in capitals", `[True]`, "not JSON", false},
		{"comment", `[/**/]`, "not JSON", false},
		{"single quotes", `['a']`, "not JSON", false},
		{"control character", "[\"a\tb\"]", "to be escaped", false},
		{"control character far in", `["` + strings.Repeat("x", 5000) + "\x1f" + strings.Repeat("x", 50) + `"]`, "beyond the first window", false},
		{"null byte", "[\"\x00\"]", "the smallest control character", false},
		{"unknown escape", `["\x"]`, "not JSON", false},
		{"unicode escape too short", `["\u12"]`, "four digits", false},
		{"unicode escape with other letters", `["\u12g4"]`, "hexadecimal", false},
		{"high surrogate", `["\ud800"]`, "parsers of other languages refuse it", false},
		{"low surrogate", `["\udc00"]`, "likewise", false},
		{"high surrogate in a name", `{"\ud800":1}`, "likewise", false},
		{"high surrogate deep inside", `[{"a":["b",{"c":"` + strings.Repeat("x", 5000) + `\ud800"}]}]`, "likewise", false},
		{"surrogates in the wrong order", `["\udc00\ud800"]`, "no pair", false},
		{"two high surrogates", `["\ud800\ud800\udc00"]`, "the first one is alone", false},
		{"surrogates with a character between", `["\ud800a\udc00"]`, "no pair", false},
		{"surrogates with an escape between", `["\ud800\n\udc00"]`, "no pair", false},
		{"surrogates in two strings", `["\ud800","\udc00"]`, "no pair", false},
		{"high surrogate and another escape", `["\ud800\u0041"]`, "no pair", false},
		{"backslash last", `["\]`, "it escapes something", false},
		{"string cut off", `["a]`, "strings end", false},
		{"invalid UTF-8", "[\"\xff\"]", "JSON is UTF-8", false},
		{"invalid UTF-8 far in", `["` + strings.Repeat("x", 5000) + "\xff" + `"]`, "beyond the first window", false},
		{"invalid UTF-8 in front of an escape", "[\"\xff\\n\"]", "all of the string counts", false},
		{"character around an escape", "[\"\xc3\\n\xa9\"]", "the two halves do not meet", false},
		{"byte-order mark", "\xef\xbb\xbf[]", "no white space", false},
		{"non-breaking space", "[\u00a0]", "not one of the four", false},
		{"form feed", "[\f]", "not one of the four", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := jsontext.Document([]byte(tt.text), 1000); got != tt.want {
				t.Errorf("Document(%.100q) = %v: %s", tt.text, got, tt.reason)
			}
		})
	}
}

func TestDocumentDepth(t *testing.T) {
	for _, tt := range []struct {
		name, open, closing, reason string
	}{
		{"arrays", "[", "]", "one bit each"},
		{"objects", `{"a":`, "}", "the other bit"},
		{"both", `[{"a":`, "}]", "and in turn"},
	} {
		for _, depth := range []int{1, 2, 63, 64, 65, 1000, 1023, 1024, 1025, 1089, 100_000} {
			brackets := strings.Count(tt.open, "[") + strings.Count(tt.open, "{")
			text := strings.Repeat(tt.open, depth/brackets) + "[]" + strings.Repeat(tt.closing, depth/brackets)
			levels := depth/brackets*brackets + 1
			if !jsontext.Document([]byte(text), levels) {
				t.Errorf("%s (%s): %d levels are not taken where as many are allowed", tt.name, tt.reason, levels)
			}
			if jsontext.Document([]byte(text), levels-1) {
				t.Errorf("%s (%s): %d levels are taken where one less is allowed", tt.name, tt.reason, levels)
			}
			if end := jsontext.SkipValue([]byte("  "+text+" "), 2); end != len(text)+2 {
				t.Errorf("%s (%s): a value of %d levels ends at %d, not at %d", tt.name, tt.reason, levels, end, len(text)+2)
			}
			if half := len(text)/2 + 1; tt.name == "arrays" && levels > 2 {
				wrong := text[:half] + "}" + text[half+1:]
				if jsontext.Document([]byte(wrong), levels) {
					t.Errorf("%s: a wrong bracket among %d levels is taken", tt.name, levels)
				}
			}
		}
	}
}

func TestSkipValue(t *testing.T) {
	for _, tt := range []struct {
		name, text, reason string
		pos, want          int
	}{
		{"string", `"a" `, "up to the quote", 0, 3},
		{"number", `-1.5e3,`, "up to the comma", 0, 6},
		{"zero", `01`, "a number ends behind its leading zero", 0, 1},
		{"literal", `nullx`, "what follows is not looked at", 0, 4},
		{"object", `[{"a":1}]`, "from inside of another", 1, 8},
		{"end of text", `1`, "nothing there", 1, jsontext.Broken},
		{"behind the text", `1`, "nothing there", 2, jsontext.Broken},
		{"bracket", `]`, "nothing begins with it", 0, jsontext.Broken},
		{"space", ` 1`, "not skipped", 0, jsontext.Broken},
		{"open", `[1,`, "cut off", 0, jsontext.Broken},
	} {
		if got := jsontext.SkipValue([]byte(tt.text), tt.pos); got != tt.want {
			t.Errorf("%s: SkipValue(%q, %d) = %d, want %d: %s", tt.name, tt.text, tt.pos, got, tt.want, tt.reason)
		}
	}
}

func TestEqualUnquoted(t *testing.T) {
	for _, tt := range []struct {
		name, quoted, s, reason string
		want                    bool
	}{
		{"plain", `abc`, "abc", "as it stands", true},
		{"empty", ``, "", "as it stands", true},
		{"escaped", `a\u0062c`, "abc", "the same name", true},
		{"escaped pair", `\ud83d\ude00`, "😀", "one character", true},
		{"short escapes", `\"\\\/\b\f\n\r\t`, "\"\\/\b\f\n\r\t", "all of them", true},
		{"longer", `abcd`, "abc", "a prefix is another", false},
		{"shorter", `ab`, "abc", "likewise", false},
		{"longer by an escape", `abc\u0064`, "abc", "likewise", false},
		{"other escape", `a\u0063c`, "abc", "another character", false},
		{"lone surrogate", `\ud800`, "\xed\xa0\x80", "equal to nothing", false},
		{"replacement character", `\ufffd`, "\ufffd", "a character like any other", true},
		{"replacement of an invalid byte", `\ufffd`, "\xff", "not the same", false},
	} {
		if got := jsontext.EqualUnquoted([]byte(tt.quoted), tt.s); got != tt.want {
			t.Errorf("%s: EqualUnquoted(%q, %q) = %v: %s", tt.name, tt.quoted, tt.s, got, tt.reason)
		}
	}
}

// FuzzDocument: what is a document here is JSON for encoding/json, and the other
// way round.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5e-3,true,null,"\u00e9"]}`), uint16(1000))
	f.Fuzz(func(t *testing.T, text []byte, maxDepth uint16) {
		depth, tooDeepToTell := depthOf(text)
		if tooDeepToTell {
			return
		}
		want := json.Valid(text) && utf8.Valid(text) && depth <= int(maxDepth) && paired(text) &&
			strings.ContainsAny(string(text[:1]), "{[") && strings.ContainsAny(string(text[len(text)-1:]), "}]")
		if got := jsontext.Document(text, int(maxDepth)); got != want {
			t.Errorf("Document(%q, %d) = %v, of depth %d", text, maxDepth, got, depth)
		}
	})
}

var (
	escapes       = regexp.MustCompile(`(?:\\u[0-9a-fA-F]{4})+|\\[^u]`)
	surrogatePair = regexp.MustCompile(`\\u[dD][89abAB]..\\u[dD][c-fC-F]..`)
	surrogate     = regexp.MustCompile(`\\u[dD][89a-fA-F]`)
)

// paired reports whether the surrogates in the escapes of a JSON text come in pairs.
func paired(text []byte) bool {
	for _, run := range escapes.FindAll(text, -1) {
		if surrogate.Match(surrogatePair.ReplaceAll(run, nil)) {
			return false
		}
	}
	return true
}

// depthOf is the depth of text if it is JSON. encoding/json cannot tell whether
// it is beyond 10,000 levels.
func depthOf(text []byte) (depth int, tooDeepToTell bool) {
	open := 0
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			open++
			depth = max(depth, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return depth, depth > 9_000
}
