// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub"
	"github.com/tracedpubsub/tracedpubsub/internal/tracetest"
)

// TestPayloadBytesAreThoseOfRedis compares what is in an envelope with what
// go-redis itself sends for the same payload; nothing here says what that is.
func TestPayloadBytesAreThoseOfRedis(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	for _, payload := range payloadsOfEveryType() {
		t.Run(fmt.Sprintf("%T %.40v", payload, payload), func(t *testing.T) {
			if err := rdb.Set(t.Context(), "key", payload, 0).Err(); err != nil {
				t.Fatalf("go-redis: %v", err)
			}
			want, err := rdb.Get(t.Context(), "key").Result()
			if err != nil {
				t.Fatal(err)
			}
			message, err := tracedpubsub.Encode(t.Context(), payload)
			if err != nil {
				t.Fatalf("encode: %v", err)
			}
			e, err := tracedpubsub.Decode(string(message))
			if err != nil || e.Payload != want {
				t.Errorf("got %q, %v; go-redis sends %q", e.Payload, err, want)
			}
		})
	}
}

// TestPayloadsThatRedisRefuses: what go-redis cannot send is no payload here.
func TestPayloadsThatRedisRefuses(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	for _, payload := range []any{
		struct{}{}, map[string]int{}, []string{"a"}, []int{1}, refusingName("x"), new([]byte), new(any), any(time.Monday),
		complex(1, 2), errors.New("x"), func() {}, make(chan int), new(net.IP), [2]byte{}, big.NewInt(1), refusing{errors.New("refused")},
	} {
		t.Run(fmt.Sprintf("%T", payload), func(t *testing.T) {
			if err := rdb.Set(t.Context(), "key", payload, 0).Err(); err == nil {
				t.Fatal("go-redis takes it")
			}
			if message, err := tracedpubsub.Encode(t.Context(), payload); err == nil || message != nil {
				t.Errorf("encoded as %q, %v", message, err)
			}
		})
	}
}

func payloadsOfEveryType() []any {
	zone := time.FixedZone("", 5*3600+1800)
	moment := time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, zone)
	payloads := []any{
		nil, "", "text", `{"a":1}`, "\xff\x00", []byte(nil), []byte{}, []byte("bytes"),
		moment, moment.UTC(), time.Time{}, &moment, (*time.Time)(nil),
		net.IP(nil), net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 1).To4(), net.ParseIP("::1"),
		netip.MustParseAddr("10.0.0.1"), &url.URL{Scheme: "redis", Host: "localhost"}, tracetest.Marshaled("binary \xff"), tracetest.Marshaled(""),
		float32(0.1), float32(math.MaxFloat32), 0.1, 1e21, 1e-7, math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1),
	}
	payloads = append(payloads, pointers("text", strings.Repeat("x", 100))...)
	payloads = append(payloads, pointers(math.MinInt, math.MaxInt)...)
	payloads = append(payloads, pointers[int8](math.MinInt8, math.MaxInt8)...)
	payloads = append(payloads, pointers[int16](math.MinInt16, math.MaxInt16)...)
	payloads = append(payloads, pointers[int32](math.MinInt32, math.MaxInt32)...)
	payloads = append(payloads, pointers[int64](math.MinInt64, math.MaxInt64)...)
	payloads = append(payloads, pointers[uint](0, math.MaxUint)...)
	payloads = append(payloads, pointers[uint8](0, math.MaxUint8)...)
	payloads = append(payloads, pointers[uint16](0, math.MaxUint16)...)
	payloads = append(payloads, pointers[uint32](0, math.MaxUint32)...)
	payloads = append(payloads, pointers[uint64](0, math.MaxUint64)...)
	payloads = append(payloads, pointers[uintptr](0, math.MaxUint)...)
	payloads = append(payloads, pointers[float32](1.5, -0.25)...)
	payloads = append(payloads, pointers(1.5, -0.25)...)
	payloads = append(payloads, pointers(true, false)...)
	payloads = append(payloads, pointers(time.Second, -time.Nanosecond)...)
	return payloads
}

// pointers returns the values, pointers at them, and a nil pointer.
func pointers[T any](values ...T) []any {
	all := []any{(*T)(nil)}
	for i := range values {
		all = append(all, values[i], &values[i])
	}
	return all
}
