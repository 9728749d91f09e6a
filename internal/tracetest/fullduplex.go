// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracetest

import (
	"reflect"
	"testing"

	"github.com/redis/go-redis/v9"
)

// FullDuplex returns the options of a full-duplex auto-pipeline. It skips the test if the
// go-redis that the test is built with has none.
func FullDuplex(t *testing.T) *redis.AutoPipelineOptions {
	t.Helper()
	options := FullDuplexOptions()
	if options == nil {
		t.Skip("this test needs go-redis v9.23 or later; to run it: .ci/versions newest go test ./test/hook ./test/publish")
	}
	return options
}

// FullDuplexOptions is like FullDuplex, and returns nil instead of skipping a test. It goes
// by reflection, because the oldest go-redis that the tests are built with has no such field.
func FullDuplexOptions() *redis.AutoPipelineOptions {
	options := new(redis.AutoPipelineOptions)
	field := reflect.ValueOf(options).Elem().FieldByName("FullDuplex")
	if !field.IsValid() {
		return nil
	}
	field.SetBool(true)
	return options
}
