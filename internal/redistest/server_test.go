// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestStart(t *testing.T) {
	s := Start(t, "--maxclients", "7")
	client := s.Client()
	config, err := client.ConfigGet(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ name, value, why string }{
		{"maxclients", "7", "an argument of the caller"},
		{"save", "", "nothing is kept on disk"},
		{"appendonly", "no", "nothing is kept on disk"},
		{"bind", "127.0.0.1", "nobody outside of this machine reaches it"},
		{"dir", s.dir, "what it writes goes away with the test"},
	} {
		if got := config[want.name]; got != want.value {
			t.Errorf("%s = %q, want %q: %s", want.name, got, want.value, want.why)
		}
	}
}

// With a password set, only the log of the server shows that it is ready.
func TestStartWithPassword(t *testing.T) {
	s := Start(t, "--requirepass", "secret")
	if err := s.Client().Ping(t.Context()).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("ping without the password: %v, want NOAUTH", err)
	}
}

func TestStartReportsATakenPort(t *testing.T) {
	first := Start(t)
	second := &Server{t: t, path: first.path, dir: t.TempDir(), port: first.port}
	t.Cleanup(second.cleanUp)
	if err := second.start(); !errors.Is(err, errPortTaken) {
		t.Errorf("start on the port of another server: %v, want %v", err, errPortTaken)
	}
}

// While a server is down, its port is nobody else's.
func TestADownServerKeepsItsPort(t *testing.T) {
	s := Start(t)
	s.Kill()
	proposed := []int{s.port, s.port, anyPort()}
	other := newServer(t, nil)
	other.startOnFreePort(func() int {
		port := proposed[0]
		proposed = append(proposed[1:], anyPort())
		return port
	})
	if other.port == s.port {
		t.Errorf("another server is on port %d", s.port)
	}
	if _, err := startProxy(t, s.Addr(), other.Addr()); !errors.Is(err, errPortTaken) {
		t.Errorf("a proxy on that port: %v, want %v", err, errPortTaken)
	}
	s.Restart()
	if err := s.Client().Ping(t.Context()).Err(); err != nil {
		t.Errorf("ping after the restart: %v", err)
	}
}

func TestStartFailsWithTheServersLog(t *testing.T) {
	Start(t) // skips or fails if there is no redis-server
	got := outcome(t, func(tb testing.TB) { Start(tb, "--no-such-option", "1") })
	if !strings.HasPrefix(got, "fatal: ") || !strings.Contains(got, "no-such-option") {
		t.Errorf("start with an unknown option: %q, want it to fail with what the server says", got)
	}
}

func TestStartWithoutRedisServer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("REDIS_SERVER", "")
	for _, tt := range []struct{ ci, want, why string }{
		{"", "skip: ", "a developer may do without a server"},
		{"true", "fatal: ", "CI must not pass by running nothing"},
	} {
		t.Setenv("CI", tt.ci)
		got := outcome(t, func(tb testing.TB) { Start(tb) })
		if !strings.HasPrefix(got, tt.want) || !strings.Contains(got, "apt-get install redis-server") {
			t.Errorf("with CI=%q: %q, want %q and how to install it: %s", tt.ci, got, tt.want, tt.why)
		}
	}
}

func TestServerEndsWithTheTest(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*Server)
	}{
		{"running", func(*Server) {}},
		{"paused, when a process takes no signal but one", (*Server).Pause},
		{"killed already", (*Server).Kill},
		{"restarted, as a second process", (*Server).Restart},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s *Server
			t.Run("its test", func(t *testing.T) {
				s = Start(t)
				tt.do(s)
			})
			if s == nil {
				t.Skip("no server was started")
			}
			if err := syscall.Kill(s.process.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("signal to the server's process after its test: %v, want %v", err, syscall.ESRCH)
			}
		})
	}
}

func TestKill(t *testing.T) {
	s := Start(t)
	conn := dial(t, s)
	s.Kill()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read from a killed server: %v, want a connection that has ended", err)
	}
	if _, err := net.Dial("tcp", s.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a killed server: %v, want %v", err, syscall.ECONNREFUSED)
	}
	s.Kill() // a second time does no harm
}

func TestRestart(t *testing.T) {
	s := Start(t, "--maxclients", "7")
	client := s.Client()
	if err := client.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	addr, pid := s.Addr(), s.process.Process.Pid
	s.Restart()
	if s.Addr() != addr {
		t.Errorf("address after the restart = %s, want %s", s.Addr(), addr)
	}
	if s.process.Process.Pid == pid {
		t.Error("the process is the same after the restart")
	}
	fresh := s.Client() // the first one may still hold a connection to the first process
	if err := fresh.Get(t.Context(), "key").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("a key from before the restart: %v, want %v", err, redis.Nil)
	}
	if got := fresh.ConfigGet(t.Context(), "maxclients").Val()["maxclients"]; got != "7" {
		t.Errorf("maxclients after the restart = %q, want 7 as before", got)
	}
}

func TestPauseAndResume(t *testing.T) {
	s := Start(t)
	conn := dial(t, s)
	for range 2 {
		s.Pause()
		s.Pause() // a second time does no harm
		ping(t, conn)
		wantSilence(t, conn)

		s.Resume()
		setReadDeadline(t, conn, startTimeout)
		answer := make([]byte, len("+PONG\r\n"))
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "+PONG\r\n" {
			t.Fatalf("answer of the resumed server = %q, %v, want PONG", answer, err)
		}
	}
}

func TestRestartOfAPausedServer(t *testing.T) {
	s := Start(t)
	s.Pause()
	s.Restart()
	if err := s.Client().Ping(t.Context()).Err(); err != nil {
		t.Errorf("ping after the restart: %v", err)
	}
	conn := dial(t, s)
	s.Pause() // the new process is not paused because the old one was
	ping(t, conn)
	wantSilence(t, conn)
}

// The log shows why a server did not do what a test expected.
func TestLogOfAFailedTest(t *testing.T) {
	for _, failed := range []bool{false, true} {
		tb := &verdict{TB: t, failed: failed}
		s := Start(tb)
		s.cleanUp()
		if got := strings.Contains(tb.logged, "Ready to accept connections"); got != failed {
			t.Errorf("the server's log is in the output of a test with Failed() = %v: %v; all of it: %q", failed, got, tb.logged)
		}
	}
}

// A test of many servers is not to drown in what they have to say.
func TestLongLogOfAFailedTest(t *testing.T) {
	tb := &verdict{TB: t, failed: true}
	s := Start(tb)
	for i := range 2 * tailLines {
		fmt.Fprintf(s.log, "line %d of many\n", i+1)
	}
	s.cleanUp()
	for line, want := range map[int]bool{tailLines: false, tailLines + 1: true, 2 * tailLines: true} {
		if got := strings.Contains(tb.logged, fmt.Sprintf("line %d of many\n", line)); got != want {
			t.Errorf("line %d is in the output: %v, want %v; all of it: %q", line, got, want, tb.logged)
		}
	}
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func ping(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		t.Fatal(err)
	}
}

func wantSilence(t *testing.T, conn net.Conn) {
	t.Helper()
	// Silence has no event to wait for. A server that runs answers in far less
	// time.
	setReadDeadline(t, conn, 20*time.Millisecond)
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read where there should be silence: %d bytes, %v, want %v", n, err, os.ErrDeadlineExceeded)
	}
}

func setReadDeadline(t *testing.T, conn net.Conn, after time.Duration) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(after)); err != nil {
		t.Fatal(err)
	}
}

// outcome says how f ends a test: "skip: ", "fatal: " and the message, or
// nothing.
func outcome(t *testing.T, f func(testing.TB)) string {
	tb := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(tb)
	}()
	<-done
	return tb.outcome
}

// verdict is a test whose outcome is set from outside, and which keeps what it logs.
// All else, such as a skip, is for the real one.
type verdict struct {
	testing.TB
	failed bool
	logged string
}

func (v *verdict) Failed() bool { return v.failed }

func (v *verdict) Logf(format string, args ...any) { v.logged += fmt.Sprintf(format, args...) }

// recorder is a test that may be skipped and fail without the real one doing
// so. It ends its goroutine, which is why that must not be the real one's: see
// outcome.
type recorder struct {
	testing.TB
	outcome string
}

func (r *recorder) end(outcome string) {
	r.outcome = outcome
	runtime.Goexit()
}

func (r *recorder) Skip(args ...any)  { r.end("skip: " + fmt.Sprint(args...)) }
func (r *recorder) Fatal(args ...any) { r.end("fatal: " + fmt.Sprint(args...)) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.end("fatal: " + fmt.Sprintf(format, args...))
}
