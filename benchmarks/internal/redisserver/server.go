// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Package redisserver runs redis-server processes for a program, like internal/redistest for
// a test.
package redisserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// startTimeout is how long a server, or a cluster, may take until it is ready.
const startTimeout = 30 * time.Second

// errNotFound means that there is no redis-server. It says how to install it.
var errNotFound = errors.New("no redis-server in PATH; to install it: apt-get install redis-server, or brew install redis")

// Server is a redis-server process on the loopback interface. It keeps no data.
type Server struct {
	addr    string
	dir     string
	output  string // the file that it logs to
	process *exec.Cmd
	exited  chan struct{}
}

// Start starts a server without a limit for the backlog of a subscriber. The caller must
// stop it. args are arguments of redis-server.
func Start(ctx context.Context, args ...string) (*Server, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNotFound
	}
	var s *Server
	for range 5 { // another process may get the port first
		if s, err = start(ctx, path, args); err == nil || ctx.Err() != nil {
			break
		}
	}
	return s, err
}

func start(ctx context.Context, path string, args []string) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "benchmarks-redis-")
	if err != nil {
		return nil, err
	}
	s := &Server{
		addr:   net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		dir:    dir,
		output: dir + "/log",
		exited: make(chan struct{}),
	}
	s.process = exec.Command(path, slices.Concat([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--logfile", s.output,
		"--save", "", "--appendonly", "no", "--daemonize", "no",
		"--client-output-buffer-limit", "pubsub 0 0 0",
	}, args)...)
	s.process.SysProcAttr = dieWithParent()
	if err := s.process.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() {
		defer close(s.exited)
		_ = s.process.Wait() // the log says why it has ended, unless it was killed
	}()
	if err := s.waitUntilReady(ctx); err != nil {
		log, _ := os.ReadFile(s.output)
		return nil, errors.Join(fmt.Errorf("start redis-server: %w\n%s", err, log), s.Stop())
	}
	return s, nil
}

// freePort returns a port that was free a moment ago. It is low enough for the second port of
// a cluster node, which is 10000 higher.
func freePort() (int, error) {
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return 0, err
		}
		if port <= 55_535 {
			return port, nil
		}
	}
	return 0, errors.New("no free port below 55536")
}

func (s *Server) waitUntilReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	rdb := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
	defer rdb.Close()
	return poll(ctx, func() error {
		select {
		case <-s.exited:
			return fatal{errors.New("it ended at once")}
		default:
			return rdb.Ping(ctx).Err()
		}
	})
}

// fatal is an error that no further attempt can change.
type fatal struct{ error }

// poll calls check until it returns nil.
func poll(ctx context.Context, check func() error) error {
	for {
		err := check()
		var f fatal
		if err == nil || errors.As(err, &f) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// Addr returns the host and port of the server.
func (s *Server) Addr() string { return s.addr }

// PID returns the process ID of the server.
func (s *Server) PID() int { return s.process.Process.Pid }

// Stop ends the process and removes its files.
func (s *Server) Stop() error {
	if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.exited
	return os.RemoveAll(s.dir)
}
