// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	inlineCode = regexp.MustCompile("`[^`\n]*`")
	htmlTag    = regexp.MustCompile(`<[^>]*>`)
	linkText   = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"|(?m)^\[[^\]]+\]:\s*(\S+)`)
	heading    = regexp.MustCompile(`(?m)^#{1,6} +(.*?)\s*$`)
)

// packagePage is the documentation of this package.
const packagePage = "https://pkg.go.dev/github.com/tracedpubsub/tracedpubsub#"

// Each link of a Markdown document leads to a file and a heading, or to a name in the package
// documentation. Other sites are not asked.
func TestLinks(t *testing.T) {
	names := exportedNames(t)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text := inlineCode.ReplaceAllString(withoutCode(readFile(t, path)), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if err := checkLink(t, path, m[1]+m[2]+m[3], names); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkLink(t *testing.T, from, to string, names map[string]bool) error {
	t.Helper()
	if name, ok := strings.CutPrefix(to, packagePage); ok {
		if !names[name] {
			return fmt.Errorf("the package has no exported %s", name)
		}
		return nil
	}
	if strings.Contains(to, "://") {
		return nil
	}
	file, anchor, _ := strings.Cut(to, "#")
	path := from
	if file != "" {
		path = filepath.Join(filepath.Dir(from), filepath.FromSlash(file))
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist", to)
	}
	if anchor != "" && !anchors(readFile(t, path))[anchor] {
		return fmt.Errorf("%s has no heading for #%s", path, anchor)
	}
	return nil
}

// anchors returns the anchors of the headings of a document, as GitHub makes them.
func anchors(document string) map[string]bool {
	all := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(withoutCode(document), -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, linkText.ReplaceAllString(m[1], "$1"))
		unique := anchor
		for n := 1; all[unique]; n++ {
			unique = fmt.Sprintf("%s-%d", anchor, n)
		}
		all[unique] = true
	}
	return all
}

// exportedNames returns the names of the package as the anchors of its documentation have them,
// such as Publish and Client.Publish.
func exportedNames(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, path := range glob(t, "*.go") {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					name = receiver(d.Recv.List[0].Type) + "." + name
				}
				names[name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						names[s.Name.Name] = true
					case *ast.ValueSpec:
						for _, name := range s.Names {
							names[name.Name] = true
						}
					}
				}
			}
		}
	}
	return names
}

func receiver(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if ident, ok := e.(*ast.Ident); ok {
		return ident.Name
	}
	return ""
}

// sentenceEnd matches what stands between two sentences: a full stop or a colon, a row or a cell
// of a table, an item of a list, and an empty line.
var sentenceEnd = regexp.MustCompile(`[.:;?!]["')*]*\s+|\s*\|\s*|\n\s*(?:[-*]|\d+\.)\s+|\n>?\s*\n`)

// What is said in one place is said in no other, where it might come to say something else.
func TestNoSentenceTwice(t *testing.T) {
	const short = 8 // words: a sentence of so few may be repeated
	seen := make(map[string]string)
	for _, document := range documents(t) {
		text := htmlTag.ReplaceAllString(withoutCode(readFile(t, document)), "")
		for _, sentence := range sentenceEnd.Split(linkText.ReplaceAllString(text, "$1"), -1) {
			words := strings.FieldsFunc(strings.ToLower(sentence), func(r rune) bool {
				return unicode.IsSpace(r) || strings.ContainsRune("`*_>#(),.", r)
			})
			if len(words) <= short {
				continue
			}
			normal := strings.Join(words, " ")
			if other, ok := seen[normal]; ok {
				t.Errorf("%s and %s both say: %s", other, document, strings.Join(strings.Fields(sentence), " "))
			}
			seen[normal] = document
		}
	}
}
