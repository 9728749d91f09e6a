// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

// Kind is the kind of a topic.
type Kind int

// The kinds of topics. Each has commands of its own.
const (
	Channels Kind = iota
	Patterns
	ShardChannels
	kinds
)

var (
	subscribeOps   = [kinds]string{"subscribe", "psubscribe", "ssubscribe"}
	unsubscribeOps = [kinds]string{"unsubscribe", "punsubscribe", "sunsubscribe"}
)

func (k Kind) subscribeOp() string   { return subscribeOps[k] }
func (k Kind) unsubscribeOp() string { return unsubscribeOps[k] }

// topic is the state of a channel or a pattern on one shard.
type topic struct {
	// pending is the command that subscribes to it on the present connection. It stays
	// when the server has confirmed it. Without one, the topic is to be subscribed to.
	pending *command
	// outage is why, and since when, it is not received; nil: the server has confirmed it.
	outage *outage
}

// topics are those of a shard, by kind and name.
type topics [kinds]map[string]*topic

func (t *topics) set(k Kind, name string, to *topic) {
	if t[k] == nil {
		t[k] = make(map[string]*topic)
	}
	t[k][name] = to
}

func (t *topics) empty() bool {
	for _, byName := range t {
		if len(byName) > 0 {
			return false
		}
	}
	return true
}

// all calls f for each topic.
func (t *topics) all(f func(k Kind, name string, t *topic)) {
	for k, byName := range t {
		for name, t := range byName {
			f(Kind(k), name, t)
		}
	}
}

// names returns the names of all kinds.
func (t *topics) names() (names []string) {
	t.all(func(_ Kind, name string, _ *topic) { names = append(names, name) })
	return names
}
