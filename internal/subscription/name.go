// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import "context"

// opSetName names a connection.
const opSetName = "client setname"

// connectionName is what the server calls all connections of a Subscription. It is part of the
// state.
type connectionName struct {
	text     string
	reported bool // that the server has refused it
}

// SetName names all connections, also those that are made later. It returns when the commands
// are written. If there is no connection, it returns at once.
//
// A connection is named before its first topic is subscribed to: afterwards, a server refuses
// the command if the connection uses RESP2.
func (s *Subscription) SetName(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var sent []sending
	err := s.updateOpen(func(st *state) {
		st.name = &connectionName{text: name}
		for _, sh := range st.shards {
			if sh.conn != nil {
				sent = append(sent, sh.callersWaitFor(sh.conn.enqueue(st.name.command())))
			}
		}
	})
	if err != nil {
		return err
	}
	for _, w := range sent {
		_ = w.waitWritten(ctx) // the connection that replaces a lost one is named as well
	}
	return ctx.Err()
}

func (n *connectionName) command() *command {
	return &command{op: opSetName, payload: []string{n.text}}
}

// setName names a new connection, if it is to have a name. It is part of the state.
func (c *connection) setName(n *connectionName) {
	if n != nil {
		c.enqueue(n.command())
	}
}

// nameRefused handles the event that the server has refused a name. It reports that once for
// each name, since the topics are received all the same.
func (st *state) nameRefused(cmd *command, err error) {
	if st.closed || cmd.payload[0] != st.name.text || st.name.reported {
		return
	}
	st.name.reported = true
	st.emit(&Failure{Op: opSetName, Count: 1, Err: err})
}
