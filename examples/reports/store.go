// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// keepFor is how long Redis keeps a report.
const keepFor = 10 * time.Minute

var errUnknownReport = errors.New("no such report")

// orderField is the field of a report's hash with the order. The other fields are its
// finished parts.
const orderField = "order"

func reportKey(id string) string { return "report:" + id }

// store sets a field of the report's hash.
func store(ctx context.Context, rdb redis.UniversalClient, id, field string, value any) error {
	_, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, reportKey(id), field, value)
		p.Expire(ctx, reportKey(id), keepFor)
		return nil
	})
	return err
}

// load returns the report with the parts that are finished.
func load(ctx context.Context, rdb redis.UniversalClient, id string) (*report, error) {
	fields, err := rdb.HGetAll(ctx, reportKey(id)).Result()
	if err != nil {
		return nil, err
	}
	ordered, ok := fields[orderField]
	if !ok {
		return nil, errUnknownReport
	}
	var o order
	if err := json.Unmarshal([]byte(ordered), &o); err != nil {
		return nil, fmt.Errorf("the order of report %s: %w", id, err)
	}
	r := &report{ID: id, Title: o.Title, Status: "complete", Parts: map[string]string{}}
	for _, part := range partNames {
		if text, ok := fields[part]; ok {
			r.Parts[part] = text
		} else {
			r.Missing = append(r.Missing, part)
		}
	}
	if !r.complete() {
		r.Status = "pending"
	}
	return r, nil
}
