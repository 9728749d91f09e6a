// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
	"github.com/tracedpubsub/tracedpubsub/benchmarks/internal/redisserver"
)

// scaled is the report of -scale.
type scaled struct {
	Machine machine `json:"machine"`
	Command string  `json:"command"`
	Rounds  int     `json:"rounds"`
	Rows    []shard `json:"rows"`
}

// shard is the measurement of a cluster with a number of shards.
type shard struct {
	What    string    `json:"what"`
	Shards  int       `json:"shards"`
	Raw     quartiles `json:"raw"`     // time for a message, to that on one shard
	Library quartiles `json:"library"` // likewise
	Speed   quartiles `json:"speed"`   // of the library, to that of go-redis
}

// sharding is a bench on a cluster.
type sharding struct {
	what    string
	shards  int
	library bool
}

const (
	shardedPublish = "publish, 8 goroutines"
	shardedReceive = "receive"
)

var shardCounts = []int{1, 2, 3}

// scaling measures the cost of a message for the client and all shards together. The
// throughput of a cluster can only be measured on several machines.
func scaling(ctx context.Context, o *options, stdout io.Writer) (err error) {
	benches := make(map[sharding]*run)
	defer func() {
		for _, run := range benches {
			_ = run.bench.Close() // an error does not change what was measured
		}
	}()
	pinned, err := pin()
	if err != nil {
		return err
	}
	at := &place{pinned: pinned}
	for _, shards := range shardCounts {
		cluster, err := redisserver.StartCluster(ctx, shards)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, cluster.Stop()) }()
		if at.env == nil {
			at.env = b.NewEnv(cluster.Addrs()[0], nil)
			defer func() { err = errors.Join(err, at.env.Close()) }()
		}
		at.clock.servers = append(at.clock.servers, cluster.PIDs()...)
		if err := addShards(benches, at.env, cluster.Addrs(), shards); err != nil {
			return err
		}
	}
	times, err := timeShards(ctx, benches, at, o)
	if err != nil {
		return err
	}
	made := &scaled{aboutMachine(at.pinned), o.command, o.rounds, shardRows(times)}
	text := scaleTable(made)
	fmt.Fprint(stdout, text)
	return errors.Join(writeJSON(o.path("scale.json"), made), writePage(o.path("scale.md"), "With the shards of a cluster", text))
}

func addShards(benches map[sharding]*run, env *b.Env, addrs []string, shards int) error {
	for what, open := range map[string]func(*b.Env, []string, bool) (*b.Bench, error){
		shardedPublish: b.ShardedPublish, shardedReceive: b.ShardedReceive,
	} {
		for _, library := range []bool{false, true} {
			bench, err := open(env, addrs, library)
			if err != nil {
				return err
			}
			// A multiple of the number of channels, so that each gets the same number.
			benches[sharding{what, shards, library}] = &run{bench: bench, n: 9_600}
		}
	}
	return nil
}

func timeShards(ctx context.Context, benches map[sharding]*run, at *place, o *options) (map[sharding][]float64, error) {
	var order []sharding
	for s := range benches {
		order = append(order, s)
	}
	times := make(map[sharding][]float64)
	for round := range o.rounds + 1 {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, s := range order {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			took, err := benches[s].time(at)
			if err != nil {
				return nil, fmt.Errorf("%s on %d shards: %w", s.what, s.shards, err)
			}
			if round > 0 { // the first warms up
				times[s] = append(times[s], took)
			}
		}
	}
	return times, nil
}

func shardRows(times map[sharding][]float64) []shard {
	ratios := func(of, than sharding) quartiles {
		return quartilesOf(speed(&run{times: times[of]}, &run{times: times[than]}))
	}
	var rows []shard
	for _, what := range []string{shardedPublish, shardedReceive} {
		for _, n := range shardCounts {
			raw, library := sharding{what, n, false}, sharding{what, n, true}
			rows = append(rows, shard{
				what, n,
				ratios(sharding{what, 1, false}, raw),
				ratios(sharding{what, 1, true}, library),
				ratios(library, raw),
			})
		}
	}
	return rows
}

func scaleTable(s *scaled) string {
	t := newTable("what", "shards", "time of go-redis, to one shard", "time of tracedpubsub, to one shard", "speed of tracedpubsub, to go-redis")
	for _, row := range s.Rows {
		t.row(row.What, strconv.Itoa(row.Shards), got(row.Raw), got(row.Library), got(row.Speed))
	}
	return fmt.Sprintf("%s\n%s", about(s.Machine, s.Command, fmt.Sprintf("rounds: %d", s.Rounds)), t)
}
