// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

const sales = `{"title":"Sales","rows":[{"name":"north","amount":42},{"name":"south","amount":8}]}`

// call makes a request and returns the status and the body of its answer.
func call(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// orderReport orders a report and returns it as soon as it is complete.
func orderReport(t *testing.T, url string) *report {
	t.Helper()
	status, answer := call(t, "POST", url+"/reports", sales)
	var accepted struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &accepted); err != nil || status != http.StatusAccepted || accepted.ID == "" {
		t.Fatalf("POST /reports: %d %s, want 202 with an id", status, answer)
	}
	status, answer = call(t, "GET", url+"/reports/"+accepted.ID+"?wait=10s", "")
	var r report
	if err := json.Unmarshal([]byte(answer), &r); err != nil || status != http.StatusOK || r.Status != "complete" {
		t.Fatalf("GET /reports/%s: %d %s, want 200 with the whole report", accepted.ID, status, answer)
	}
	return &r
}

func TestServe(t *testing.T) {
	p := startProgram(t, "-serve", "-addr", "127.0.0.1:0")
	r := orderReport(t, p.url())
	const wantSummary = "Sales: 50 in 2 rows, 25.0 on average; most in north (42)."
	if r.Title != "Sales" || len(r.Parts) != 4 || r.Parts["summary"] != wantSummary {
		t.Errorf("the report is %+v, want four parts of Sales, its summary %q", r, wantSummary)
	}
	p.stdout.waitFor(t, regexp.MustCompile(`trace \w{32}\n14 spans of 5 services in `))
	p.stop()
	if got := p.stderr.String(); got != "" {
		t.Errorf("standard error = %q, want nothing", got)
	}
}

func TestUnfinishedReport(t *testing.T) {
	server := miniredis.RunT(t)
	url := startProgram(t, "api", "-addr", "127.0.0.1:0", "-redis", server.Addr()).url()
	startProgram(t, "worker", "-part", "table", "-redis", server.Addr()).
		stdout.waitFor(t, regexp.MustCompile(`worker-table is subscribed`))
	_, answer := call(t, "POST", url+"/reports", sales)
	var accepted struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &accepted); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the table is there", func() bool { return server.HGet(reportKey(accepted.ID), "table") != "" })
	for _, wait := range []string{"", "?wait=30ms"} {
		status, answer := call(t, "GET", url+"/reports/"+accepted.ID+wait, "")
		var r report
		if err := json.Unmarshal([]byte(answer), &r); err != nil || status != http.StatusOK {
			t.Fatalf("GET: %d %s", status, answer)
		}
		if want := []string{"summary", "chart", "pdf"}; r.Status != "pending" || !slices.Equal(r.Missing, want) || len(r.Parts) != 1 {
			t.Errorf("with %q the report is %+v, want it pending, %q missing", wait, r, want)
		}
	}
	if ttl := server.TTL(reportKey(accepted.ID)); ttl <= 0 || ttl > keepFor {
		t.Errorf("the report expires in %v, want up to %v", ttl, keepFor)
	}
}

func TestRequestsThatTheAPIRefuses(t *testing.T) {
	server := miniredis.RunT(t)
	p := startProgram(t, "api", "-addr", "127.0.0.1:0", "-redis", server.Addr())
	url := p.url()
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"an unknown report", "GET", "/reports/NOPE", "", http.StatusNotFound},
		{"an unknown path", "GET", "/", "", http.StatusNotFound},
		{"a method that there is not", "GET", "/reports", "", http.StatusMethodNotAllowed},
		{"no JSON", "POST", "/reports", "title=Sales", http.StatusBadRequest},
		{"no title", "POST", "/reports", `{"rows":[{"name":"north","amount":1}]}`, http.StatusBadRequest},
		{"no rows", "POST", "/reports", `{"title":"Sales"}`, http.StatusBadRequest},
		{"a row without a name", "POST", "/reports", `{"title":"Sales","rows":[{"amount":1}]}`, http.StatusBadRequest},
		{"an amount beyond measure", "POST", "/reports", `{"title":"Sales","rows":[{"name":"a","amount":1e18}]}`, http.StatusBadRequest},
		{"too much", "POST", "/reports", `{"title":"` + strings.Repeat("x", 1<<17) + `"}`, http.StatusBadRequest},
		{"not a time to wait", "GET", "/reports/NOPE?wait=long", "", http.StatusBadRequest},
		{"a time that has gone by", "GET", "/reports/NOPE?wait=-1s", "", http.StatusBadRequest},
		{"a time too long", "GET", "/reports/NOPE?wait=1h", "", http.StatusBadRequest},
	} {
		if status, answer := call(t, tt.method, url+tt.path, tt.body); status != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.name, status, answer, tt.status)
		}
	}
	server.SetError("LOADING not yet")
	for _, tt := range []struct{ method, path, body, span string }{
		{"POST", "/reports", sales, "POST /reports"},
		{"GET", "/reports/NOPE", "", "GET /reports/{id}"},
		{"GET", "/pub?a=b", "", "GET /pub"},
	} {
		if status, answer := call(t, tt.method, url+tt.path, tt.body); status != http.StatusServiceUnavailable {
			t.Errorf("%s while Redis fails: %d %s, want 503", tt.span, status, answer)
		}
		p.stdout.waitFor(t, regexp.MustCompile(`✗ `+regexp.QuoteMeta(tt.span)+` .*\n[│ ]*LOADING not yet\n`))
	}
	p.stop()
	if got := strings.Count(p.stdout.String(), "✗ "); got != 4 {
		t.Errorf("%d spans have failed, want the three requests of the last kind, and a publish: the others are the callers' fault", got)
	}
}

func TestPub(t *testing.T) {
	p := startProgram(t, "-serve", "-addr", "127.0.0.1:0")
	const want = `{"any":"thing","n":["1","2"]}`
	status, answer := call(t, "GET", p.url()+"/pub?any=thing&n=1&n=2", "")
	if wantAnswer := `{"published":` + want + "}\n"; status != http.StatusAccepted || answer != wantAnswer {
		t.Errorf("GET /pub: %d %s, want 202 %s", status, answer, wantAnswer)
	}
	logged := p.stdout.waitFor(t, regexp.MustCompile("logger: trace=(\\w+) best-channel-ever: (.*)\n"))
	if logged[2] != want {
		t.Errorf("logged is %s, want %s", logged[2], want)
	}
	p.stdout.waitFor(t, regexp.MustCompile(`trace `+logged[1]+`\n3 spans of 2 services in `))
	p.stop()
	wantTree := []string{
		"GET /pub of api",
		"GET /pub of api > publish best-channel-ever of api",
		"GET /pub of api > publish best-channel-ever of api > process best-channel-ever of logger",
	}
	if got := printedTrace(t, p.stdout.String()); !slices.Equal(got, wantTree) {
		t.Errorf("the printed tree has %q, want %q", got, wantTree)
	}
}

// A client that may publish on the channel can send anything: the workers say so in
// their spans, and go on.
func TestAMessageThatIsNoOrder(t *testing.T) {
	server := miniredis.RunT(t)
	p := startProgram(t, "-serve", "-addr", "127.0.0.1:0", "-redis", server.Addr(), "-part", "summary,chart,table,pdf")
	url := p.url()
	server.Publish(reportsChannel, "\x1b[2Jhello")
	for _, part := range partNames {
		p.stdout.waitFor(t, regexp.MustCompile(`⇢ ✗ process reports  worker-`+part+` .*\n +message on reports: invalid character`))
	}
	orderReport(t, url)
	p.stop()
	if strings.Contains(p.stdout.String(), "\x1b") {
		t.Error("the message reached the terminal as it was")
	}
}

func TestRedisGoesAwayAndComesBack(t *testing.T) {
	server := redistest.Start(t)
	p := startProgram(t, "-serve", "-addr", "127.0.0.1:0", "-redis", server.Addr())
	url := p.url()
	orderReport(t, url)
	server.Kill()
	p.stderr.waitFor(t, regexp.MustCompile(`(?m)^reports: worker-pdf: tracedpubsub: .*$`))
	server.Restart()
	rdb := server.Client()
	eventually(t, "all workers are subscribed again", func() bool {
		return rdb.PubSubNumSub(t.Context(), reportsChannel).Val()[reportsChannel] == int64(len(partNames))
	})
	orderReport(t, url)
	p.stop()
}

// The same as in one process, and the traces are whole in the backend to which
// all of them send their spans.
func TestSeparateProcesses(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json") // to be read without more dependencies
	backend := newBackend(t)
	server := miniredis.RunT(t)
	flags := []string{"-redis", server.Addr(), "-otlp=" + backend.url}
	var workers []*program
	for _, part := range partNames {
		worker := startProgram(t, append([]string{"worker", "-part", part}, flags...)...)
		worker.stdout.waitFor(t, regexp.MustCompile(`worker-`+part+` is subscribed to reports`))
		workers = append(workers, worker)
	}
	logger := startProgram(t, append([]string{"logger"}, flags...)...)
	logger.stdout.waitFor(t, regexp.MustCompile(`logger is subscribed to best-channel-ever`))
	api := startProgram(t, append([]string{"api", "-addr", "127.0.0.1:0"}, flags...)...)
	orderReport(t, api.url())
	call(t, "GET", api.url()+"/pub?any=thing", "")
	logger.stdout.waitFor(t, regexp.MustCompile(`logger: trace=\w+ best-channel-ever: `))

	for i, part := range partNames {
		workers[i].stdout.waitFor(t, regexp.MustCompile(`(?s)\n↳ ⇢ process reports  worker-`+part+` .*\n  ├ make `+part+` .*\n  └ store `+part+
			` .*\n\n⇢ received through Redis Pub/Sub\n↳ parent span is in another process\n`))
		workers[i].stop()
		if got := len(printedTrace(t, workers[i].stdout.String())); got != 3 {
			t.Errorf("worker %s printed %d spans, want its own three", part, got)
		}
	}
	logger.stop()
	api.stop()
	want := []string{
		"GET /pub of api",
		"GET /pub of api > publish best-channel-ever of api",
		"GET /pub of api > publish best-channel-ever of api > process best-channel-ever of logger",
		"GET /reports/{id} of api",
	}
	for _, path := range wholeTrace("publish") {
		if _, below, ok := strings.Cut(path, " > HTTP POST of client > "); ok {
			want = append(want, below)
		}
	}
	slices.Sort(want)
	if got := backend.paths(); !slices.Equal(got, want) {
		t.Errorf("the backend has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSignals(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(fmt.Sprint(signal), func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-serve", "-addr", "127.0.0.1:0")
			cmd.Env = append(os.Environ(), runsMain+"=1")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var stderr strings.Builder
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			hung := time.AfterFunc(enough, func() { _ = cmd.Process.Kill() })
			defer hung.Stop()
			for lines := bufio.NewScanner(stdout); lines.Scan(); {
				if listens.MatchString(lines.Text()) {
					if err := cmd.Process.Signal(signal); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
				t.Errorf("%v, standard error %q; want exit code 0 and nothing", err, &stderr)
			}
		})
	}
}
