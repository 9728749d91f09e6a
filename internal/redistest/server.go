// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package redistest starts Redis servers, clusters and sentinels for tests.
//
// A [Server] can be killed, restarted and paused. In a [Cluster], slots and masters can be
// moved as well, and [Sentinels] choose another master. A [Proxy] in front of a server adds
// the faults of a network. [Main] fails the tests of a package if they leave goroutines
// behind.
package redistest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const installServer = "to install it: apt-get install redis-server, or brew install redis"

// startTimeout is how long a server may take until it accepts connections. That is far more
// than it needs, because the machine may be busy with other tests.
const startTimeout = 30 * time.Second

// Ports are below the range that kernels use for client connections. Therefore the port
// of a server that is down is not given to another process, and a client that dials it
// cannot connect to itself.
const firstPort, lastPort = 10000, 22000

// Sentinels have ports of their own, above those of all servers and of the bus of clusters. A
// client made by redis.NewFailoverClusterClient connects to its sentinels even after Close, and
// would connect to a server that has got the port of a sentinel.
const firstSentinelPort, lastSentinelPort = lastPort + busPortOffset, 32768

// Server is a redis-server process on the loopback interface. It keeps no data on disk, so a
// restarted server is empty. Its methods fail the test if they do not succeed. It must be
// used by one goroutine at a time.
type Server struct {
	t    testing.TB
	path string
	dir  string
	port int
	args []string

	config   string // the path of a file that the server writes its configuration to; or empty
	sentinel bool   // the process is a sentinel

	reserved net.PacketConn

	process *exec.Cmd
	log     *serverLog
	exited  chan struct{} // closed when the process is gone and has been waited for
	paused  bool
}

// Start starts a server and returns when it accepts connections. The server is killed when
// the test ends. If the test has failed, the end of the server's log is in its output.
//
// args are arguments of redis-server, such as "--maxclients", "10". They must not redirect
// the log or make it shorter than by default, because Start waits for a line in it.
//
// The environment variable REDIS_SERVER names another program or its path, such as
// valkey-server. Without the program in PATH, the test is skipped. It fails if the environment
// variable CI is set.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := newServer(t, args)
	s.startOnFreePort(anyPort)
	return s
}

// newServer returns a server that has not been started.
func newServer(t testing.TB, args []string) *Server {
	t.Helper()
	program := cmp.Or(os.Getenv("REDIS_SERVER"), "redis-server")
	path, err := exec.LookPath(program)
	if err != nil {
		missing := "this test needs " + program + " in PATH; " + installServer
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		withoutServer.skip(t, missing)
	}
	return &Server{t: t, path: path, dir: t.TempDir(), args: args}
}

// startOnFreePort starts the server on the first free port that propose returns.
func (s *Server) startOnFreePort(propose func() int) {
	s.t.Helper()
	s.t.Cleanup(s.cleanUp)
	var err error
	for range 10 {
		s.port = propose()
		if s.reserved, err = reserve(s.Addr()); err == nil {
			err = s.start()
		}
		if !errors.Is(err, errPortTaken) {
			break
		}
		s.release()
	}
	if err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
}

func anyPort() int { return randomPort(firstPort, lastPort) }

func nodePort() int { return randomPort(firstNodePort, lastPort) }

func sentinelPort() int { return randomPort(firstSentinelPort, lastSentinelPort) }

func randomPort(first, last int) int { return first + rand.IntN(last-first) }

// Addr returns the host and port of the server. They stay the same when the server is
// restarted.
func (s *Server) Addr() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
}

// Client returns a new client of the server. It is closed when the test ends.
func (s *Server) Client() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: s.Addr()})
	// The test may have closed it already, so an error has no meaning.
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Kill ends the server like a crash, and returns when the process has ended. It does nothing
// if the server does not run.
func (s *Server) Kill() {
	s.t.Helper()
	if err := s.kill(); err != nil {
		s.t.Fatalf("kill redis-server: %v", err)
	}
}

// Restart kills the server if it runs, and starts it again at the same address, with the
// same arguments and without its data. It returns when the server accepts connections. A
// node of a cluster reads its nodes.conf and joins the cluster again;
// [Cluster.WaitUntilHealthy] waits for that.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		s.t.Fatalf("restart redis-server on %s: %v", s.Addr(), err)
	}
}

// start starts the process on s.port and waits until it accepts connections.
func (s *Server) start() error {
	var args []string
	ready := "Ready to accept connections"
	if s.config != "" {
		args = append(args, s.config) // it must be the first one
	}
	if s.sentinel {
		args, ready = append(args, "--sentinel"), "Sentinel ID is"
	}
	args = append(args,
		"--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no")
	log := newServerLog(ready)
	process := exec.Command(s.path, slices.Concat(args, s.args)...)
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = dieWithParent()
	if err := process.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = process.Wait() // the log says why it has ended, unless it was killed
	}()
	s.process, s.log, s.exited, s.paused = process, log, exited, false

	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-log.ready:
		return nil
	case <-exited:
		if log.portTaken() {
			return errPortTaken
		}
		return fmt.Errorf("it ended at once: %s", log)
	case <-timeout.C:
		return fmt.Errorf("not ready after %v: %s", startTimeout, log)
	}
}

// running reports whether the process exists. It may be paused.
func (s *Server) running() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

func (s *Server) kill() error {
	err := s.process.Process.Kill() // ends a paused process as well
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.exited
	return nil
}

// tailLines is the number of log lines in the output of a test that has failed.
const tailLines = 20

// release releases the port.
func (s *Server) release() {
	if s.reserved != nil {
		_ = s.reserved.Close()
	}
}

func (s *Server) cleanUp() {
	defer s.release()
	if s.process == nil {
		return // it was not started
	}
	if err := s.kill(); err != nil {
		s.t.Errorf("kill redis-server: %v", err)
	}
	if s.t.Failed() {
		s.t.Logf("the end of the log of redis-server on %s:\n%s", s.Addr(), s.log.tail(tailLines))
	}
}
