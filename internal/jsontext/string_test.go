// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package jsontext_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tracedpubsub/tracedpubsub/internal/jsontext"
)

// TestSpecialBytesAtEveryPosition: words, windows and what is left of them have
// borders, and no byte may be overlooked at one.
func TestSpecialBytesAtEveryPosition(t *testing.T) {
	for _, length := range []int{0, 1, 7, 8, 9, 24, 31, 32, 33, 63, 64, 65, 127, 128, 200, 2047, 2048, 2049, 2200} {
		ascii := strings.Repeat("\x7f !#[]~", length)[:length]
		mixed := strings.ToValidUTF8(strings.Repeat("\x7f !#[]~ž", length)[:length], "x")
		for pos := range length + 1 {
			if long := 256; length > long && pos%61 != 0 && length-pos > 40 {
				continue // some positions, and all near the end
			}
			assertSpecialBytes(t, ascii, pos)
			if utf8.ValidString(mixed[:pos]) { // not in the middle of a character
				assertSpecialBytes(t, mixed, pos)
			}
		}
	}
}

func assertSpecialBytes(t *testing.T, plain string, pos int) {
	t.Helper()
	for _, special := range []string{"\"", "\\", "\x00", "\x1f", "\n", "é"} {
		assertQuotes(t, plain[:pos]+special+plain[pos:])
		assertText(t, plain[:pos]+special+plain[pos:])
	}
	assertText(t, plain)
	for _, broken := range []string{"\x1f", "\x00", "\\x", "\xff"} {
		assertText(t, plain[:pos]+broken+plain[pos:])
		text := `"` + plain[:pos] + broken + plain[pos:] + `"`
		for _, behind := range []string{"", `:"words ahead"`} { // a last word is read otherwise
			if end, _ := jsontext.SkipString([]byte(text+behind), 0); end != jsontext.Broken {
				t.Fatalf("%q at %d of %d, %q behind: skipped up to %d", broken, pos, len(plain), behind, end)
			}
		}
	}
}

// assertText asserts what is said of s as the inside of a string.
func assertText(t *testing.T, s string) {
	t.Helper()
	valid := utf8.ValidString(s)
	plain := valid && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' })
	if p, v := jsontext.Text([]byte(s)); p != plain || v != valid {
		t.Fatalf("Text(%q) = %v, %v, want plain %v, valid %v", s, p, v, plain, valid)
	}
}

// assertQuotes asserts that s is written as JSON and read back.
func assertQuotes(t *testing.T, s string) {
	t.Helper()
	text := jsontext.AppendQuoted([]byte("x"), []byte(s))
	end, escaped := jsontext.SkipString(text, 1)
	if end != len(text) || escaped != strings.ContainsRune(string(text), '\\') {
		t.Fatalf("%q: skipped up to %d of %d, escaped %v", text, end, len(text), escaped)
	}
	quoted := text[2 : len(text)-1]
	if n, ok := jsontext.UnquotedLen(quoted); n != len(s) || !ok {
		t.Fatalf("%q: length %d, %v, want %d", quoted, n, ok, len(s))
	}
	if got := string(jsontext.AppendUnquoted(nil, quoted)); got != s {
		t.Fatalf("%q: unquoted %q, want %q", quoted, got, s)
	}
	if !jsontext.EqualUnquoted(quoted, s) || jsontext.EqualUnquoted(quoted, s+"x") {
		t.Fatalf("%q: not equal to what it was, or to more", quoted)
	}
}

// FuzzString: encoding/json reads what AppendQuoted writes, and the other way
// round.
func FuzzString(f *testing.F) {
	f.Add("hello")
	f.Fuzz(func(t *testing.T, s string) {
		assertText(t, s)
		if utf8.ValidString(s) {
			assertQuotes(t, s)
			var got string
			if err := json.Unmarshal(jsontext.AppendQuoted(nil, []byte(s)), &got); err != nil || got != s {
				t.Errorf("encoding/json reads %q as %q, %v", s, got, err)
			}
		}
		// And s as the inside of a string.
		text := `"` + s + `"`
		end, _ := jsontext.SkipString([]byte(text), 0)
		var want string
		err := json.Unmarshal([]byte(text), &want)
		if (end == len(text)) != (err == nil && utf8.ValidString(text)) {
			t.Fatalf("%q: ends at %d of %d; encoding/json: %v", text, end, len(text), err)
		}
		if end != len(text) {
			return
		}
		n, ok := jsontext.UnquotedLen([]byte(s))
		if !ok {
			return // encoding/json replaces lone surrogates
		}
		if got := string(jsontext.AppendUnquoted(nil, []byte(s))); got != want || n != len(want) {
			t.Errorf("%q: unquoted %q of %d bytes, encoding/json has %q", s, got, n, want)
		}
	})
}
