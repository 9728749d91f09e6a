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

// topic is the state of a channel or a pattern on one shard. It is part of the state.
type topic struct {
	// pending is the last command that subscribes to the topic on the present connection.
	// It stays set when the server has confirmed it. If it is nil, the shard has to
	// subscribe to the topic.
	pending *command
	// outage is the outage of the topic. It is nil if the server has confirmed the topic.
	outage *outage
	// received is true if the server has confirmed the topic before, on any connection.
	received bool
}

// topics holds the topics of a shard, by kind and name. It is part of the state.
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

// names returns the names of all topics.
func (t *topics) names() (names []string) {
	t.all(func(_ Kind, name string, _ *topic) { names = append(names, name) })
	return names
}
