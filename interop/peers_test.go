// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"os"
	"slices"
	"testing"
)

// peer is a client in another language. It reads and writes, in two processes.
type peer struct {
	name, reason string
	language     *language
	args         []string // behind role, host, port and channel
	text         bool     // it passes and returns strings, and bytes only where it must
}

var peers = []peer{
	{"ioredis", "strings, as most programs have them", node, []string{"ioredis", "3", "string"}, true},
	{"ioredis RESP2 buffers", "the older protocol, and no conversion", node, []string{"ioredis", "2", "buffer"}, false},
	{"node-redis RESP2", "with a connection in subscriber mode", node, []string{"node-redis", "2", "string"}, true},
	{"node-redis RESP2 buffers", "no conversion", node, []string{"node-redis", "2", "buffer"}, false},
	{"node-redis RESP3", "messages as push replies", node, []string{"node-redis", "3", "string"}, true},
	{"node-redis RESP3 buffers", "no conversion", node, []string{"node-redis", "3", "buffer"}, false},
	{"redis-py", "bytes, the default", py, []string{"bytes"}, false},
	{"redis-py strings", "decode_responses", py, []string{"str"}, true},
	{"redis-rb", "strings of bytes", ruby, nil, false},
	{"phpredis", "strings of bytes", php, nil, false},
	{"Java", "no client, but the code of the page with Jackson", java, nil, false},
}

// prepareAll returns the commands of the languages that are installed. A missing one is a
// skipped test, and in CI a failed one.
func prepareAll(t *testing.T) map[*language][]string {
	commands := make(map[*language][]string)
	for _, l := range []*language{node, py, ruby, php, java} {
		dir := t.TempDir()
		t.Run("has "+l.name, func(t *testing.T) {
			command, err := l.prepare(t, dir)
			switch {
			case err == nil:
				commands[l] = command
			case os.Getenv("CI") != "":
				t.Fatalf("%v; to install it: %s", err, l.install)
			default:
				t.Skipf("%v; to install it: %s", err, l.install)
			}
		})
	}
	return commands
}

// command returns the command of p for a role, or nil if its language is not installed.
func (p *peer) command(commands map[*language][]string, role, host, port, channel string) []string {
	command := commands[p.language]
	if command == nil {
		return nil
	}
	return slices.Concat(command, []string{role, host, port, channel}, p.args)
}
