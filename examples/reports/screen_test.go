// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// What the program prints to try works. No shell is needed to see that.
func TestToTry(t *testing.T) {
	t.Setenv("COLUMNS", "40") // it stays whole on a narrow terminal
	p := startProgram(t, "-serve", "-addr", ":0")
	command := p.stdout.waitFor(t, regexp.MustCompile(`\nTry:\n  curl (http://localhost:\d+/reports) \\\n    -d '(.*)'\n`))
	status, answer := call(t, "POST", command[1], command[2])
	var accepted map[string]string
	if err := json.Unmarshal([]byte(answer), &accepted); err != nil || status != http.StatusAccepted || len(accepted) != 1 {
		t.Errorf("POST /reports: %d %s, want 202 with an id", status, answer)
	}
	p.stdout.waitFor(t, regexp.MustCompile(`\n14 spans of 5 services in `))
	p.stop()
}

// No line is broken by the terminal, whatever comes from outside.
func TestNarrowTerminal(t *testing.T) {
	const columns = 33
	t.Setenv("COLUMNS", strconv.Itoa(columns))
	server := miniredis.RunT(t)
	api := startProgram(t, "api", "-addr", "127.0.0.1:0", "-redis", server.Addr())
	logger := startProgram(t, "logger", "-redis", server.Addr())
	logger.stdout.waitFor(t, regexp.MustCompile(`logger is subscribed to best`))
	url := api.stdout.waitFor(t, regexp.MustCompile(`curl (http://\S+)/reports`))[1]
	call(t, "GET", url+"/pub?any="+strings.Repeat("%E6%9C%A8", 40)+"%09", "")
	logger.stdout.waitFor(t, regexp.MustCompile(`↳ parent`))
	api.stop()
	logger.stop()
	command := regexp.MustCompile(`(?s)  curl .*'\n`)
	for _, p := range []*program{api, logger} {
		for line := range strings.Lines(command.ReplaceAllString(p.stdout.String(), "")) {
			if n := width(strings.TrimSuffix(line, "\n")); n > columns {
				t.Errorf("a line has %d columns of %d: %s", n, columns, line)
			}
		}
	}
}
