// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// language starts peers that are written in it.
type language struct {
	name    string
	install string // how to get what is missing
	// prepare returns the command of a peer: the program and its arguments in front of the
	// role. dir is an empty folder. The error says what is missing.
	prepare func(t *testing.T, dir string) (command []string, err error)
}

var (
	node = &language{"Node.js", "Node.js 20 or later from nodejs.org (or Debian 13), and then: npm --prefix interop/peers/node ci", prepareNode}
	py   = &language{"Python", "apt-get install python3-redis", preparePython}
	ruby = &language{"Ruby", "apt-get install ruby-redis", prepareRuby}
	php  = &language{"PHP", "apt-get install php-cli php-redis", preparePHP}
	java = &language{"Java", "apt-get install default-jdk-headless libjackson2-databind-java", prepareJava}
)

func prepareNode(t *testing.T, dir string) ([]string, error) {
	modules, err := filepath.Abs("peers/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	check := `process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)`
	if err := exec.Command("node", "-e", check).Run(); err != nil {
		return nil, fmt.Errorf("no Node.js 20 or later: %w", err)
	}
	if _, err := os.Stat(filepath.Join(modules, "ioredis")); err != nil {
		return nil, fmt.Errorf("no packages of npm: %w", err)
	}
	snippet := filepath.Join(dir, "envelope.mjs")
	writeSnippet(t, "js", snippet)
	// The snippet must find the same packages as the peers.
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return []string{"node", "peers/node/main.mjs", snippet}, nil
}

func preparePython(t *testing.T, dir string) ([]string, error) {
	snippet := filepath.Join(dir, "envelope.py")
	writeSnippet(t, "python", snippet)
	// Debian's packages are for Debian's Python, which need not be the first in PATH.
	var err error
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if err = exec.Command(python, "-c", "import redis").Run(); err == nil {
			return []string{python, "-B", "peers/python/peer.py", snippet}, nil
		}
	}
	return nil, fmt.Errorf("no Python with redis-py: %w", err)
}

func prepareRuby(t *testing.T, dir string) ([]string, error) {
	snippet := filepath.Join(dir, "envelope.rb")
	writeSnippet(t, "ruby", snippet)
	if err := exec.Command("ruby", "-e", "require 'redis'").Run(); err != nil {
		return nil, fmt.Errorf("no Ruby with redis-rb: %w", err)
	}
	return []string{"ruby", "peers/ruby/peer.rb", snippet}, nil
}

func preparePHP(t *testing.T, dir string) ([]string, error) {
	snippet := filepath.Join(dir, "envelope.php")
	writeSnippet(t, "php", snippet)
	if err := exec.Command("php", "-r", `exit(extension_loaded("redis") ? 0 : 1);`).Run(); err != nil {
		return nil, fmt.Errorf("no PHP with phpredis: %w", err)
	}
	return []string{"php", "peers/php/peer.php", snippet}, nil
}

func prepareJava(t *testing.T, dir string) ([]string, error) {
	snippet := filepath.Join(dir, "Envelope.java")
	writeSnippet(t, "java", snippet)
	var jars []string
	for _, name := range []string{"databind", "core", "annotations"} {
		jar := "/usr/share/java/jackson-" + name + ".jar"
		if _, err := os.Stat(jar); err != nil {
			return nil, fmt.Errorf("no Jackson: %w", err)
		}
		jars = append(jars, jar)
	}
	if _, err := exec.LookPath("javac"); err != nil {
		return nil, err
	}
	class := filepath.Join(dir, "classes")
	compile := exec.Command("javac", "-d", class, "-cp", strings.Join(jars, ":"),
		"-sourcepath", "peers/java/standin", snippet, "peers/java/Peer.java")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	path := strings.Join(append(jars, class), ":")
	return []string{"java", "-XX:TieredStopAtLevel=1", "-cp", path, "Peer"}, nil
}
