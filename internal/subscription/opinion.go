// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// opinion is what a node of a cluster says about all nodes. A node that the others cannot reach
// has an opinion as well, so one opinion alone counts for nothing.
type opinion struct {
	id    string // of the node itself
	ok    bool   // it reports that the cluster works
	nodes map[string]member
	now   time.Duration // by its clock
}

// member is a node in the opinion of a node.
type member struct {
	failing bool
	slots   string
	heard   time.Duration // when it was last heard, by the clock of the node that says so
}

// errNoCluster means that a server refuses to say anything about a cluster: the user may not
// ask, or the servers are no cluster, as with Sentinels.
var errNoCluster = errors.New("the server does not answer CLUSTER NODES")

// opinionOf asks a node.
func opinionOf(ctx context.Context, node *redis.Client) (o *opinion, err error) {
	info, err := node.ClusterInfo(ctx).Result()
	var nodes string
	if err == nil {
		nodes, err = node.ClusterNodes(ctx).Result()
	}
	if isRefusal(err) {
		return nil, errNoCluster
	}
	if err != nil {
		return nil, err
	}
	o = parseNodes(nodes)
	o.ok = field(info, "cluster_state") == "ok"
	now, err := node.Time(ctx).Result()
	switch {
	case err == nil:
		o.now = time.Duration(now.UnixNano())
	case isRefusal(err):
		o.now += heardInterval // it may have heard the last one so long ago
	default:
		return nil, err
	}
	return o, nil
}

// isRefusal reports whether a server will never answer such a command: the user may not use it,
// or there is none.
func isRefusal(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && (strings.HasPrefix(err.Error(), "NOPERM") || strings.HasPrefix(err.Error(), "ERR unknown command") ||
		strings.Contains(err.Error(), "cluster support disabled"))
}

// heardInterval is how often a node sends a PING to some other node, at least.
const heardInterval = time.Second

// parseNodes parses the reply to CLUSTER NODES. A line of it is
//
//	id address flag,… master ping-sent pong-received epoch link-state slots …
//
// Slots that are being migrated follow in brackets. The time of the opinion is that of the newest
// pong.
func parseNodes(nodes string) *opinion {
	o := &opinion{nodes: make(map[string]member)}
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		var m member
		ms, _ := strconv.ParseInt(f[5], 10, 64)
		m.heard = time.Duration(ms) * time.Millisecond
		o.now = max(o.now, m.heard)
		var slots []string
		for _, s := range f[8:] {
			if !strings.HasPrefix(s, "[") {
				slots = append(slots, s)
			}
		}
		m.slots = strings.Join(slots, " ")
		for flag := range strings.SplitSeq(f[2], ",") {
			switch flag {
			case "myself":
				o.id = f[0]
			case "fail", "fail?", "handshake", "noaddr":
				m.failing = true
			}
		}
		o.nodes[f[0]] = m
	}
	return o
}

// opinions asks nodes, all at once. It leaves out those that do not answer. noCluster are those
// that refuse.
func (c *cluster) opinions(ctx context.Context, nodes []*redis.Client) (all map[*redis.Client]*opinion, noCluster map[*redis.Client]bool) {
	all, noCluster = make(map[*redis.Client]*opinion), make(map[*redis.Client]bool)
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, node := range nodes {
		asking.Go(func() {
			o, err := callOf(ctx, &c.calls, func() (*opinion, error) { return opinionOf(ctx, node) })
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				all[node] = o
			case errors.Is(err, errNoCluster):
				noCluster[node] = true
			}
		})
	}
	asking.Wait()
	return all, noCluster
}

// knows reports whether a node is a working member in this opinion.
func (o *opinion) knows(id string) bool {
	m, ok := o.nodes[id]
	return ok && !m.failing
}

// hears says whether a node gets the messages of the other nodes: it and they know each other.
// A node may report that the cluster does not work, and hear all messages: slots may be without
// an owner.
func (o *opinion) hears(witnesses []*opinion) verdict {
	if len(o.nodes) == 1 && len(witnesses) == 0 {
		return right // it is the whole cluster
	}
	enough := 2
	if !o.ok {
		enough = 1
	}
	return majority(witnesses, enough, func(w *opinion) bool { return w.knows(o.id) && o.knows(w.id) })
}

// age returns how long ago a witness has heard the node, at least one of them. A node that is
// cut off counts as a member until the cluster-node-timeout has passed.
func (o *opinion) age(witnesses []*opinion) (age time.Duration) {
	for i, w := range witnesses {
		if since := max(0, w.now-w.nodes[o.id].heard); i == 0 || since < age {
			age = since
		}
	}
	return age
}

// owns says whether the slots of a node are its own in the opinion of others.
func (o *opinion) owns(witnesses []*opinion) verdict {
	mine := o.nodes[o.id].slots
	if mine == "" {
		return wrong
	}
	if len(o.nodes) == 1 && len(witnesses) == 0 {
		return right
	}
	enough := 2
	if !o.ok {
		enough = 1
	}
	return majority(witnesses, enough, func(w *opinion) bool { return w.nodes[o.id].slots == mine })
}

// majority returns right if all witnesses agree, and wrong if at least enough of them do not,
// and more than do.
func majority(witnesses []*opinion, enough int, agree func(*opinion) bool) verdict {
	yes, no := 0, 0
	for _, w := range witnesses {
		if agree(w) {
			yes++
		} else {
			no++
		}
	}
	switch {
	case no >= enough && no > yes:
		return wrong
	case yes > 0 && no == 0:
		return right
	}
	return unknown
}
