// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package rediscmd_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tracedpubsub/tracedpubsub/internal/rediscmd"
)

// recorder is a connection without a server. It keeps what a client has written last, and
// replies 0 to it.
type recorder struct {
	net.Conn // for deadlines
	written  []byte
}

// Close leaves the recorder open: it is the only connection that the client can have.
func (r *recorder) Close() error { return nil }

func (r *recorder) Write(b []byte) (int, error) {
	r.written = append(r.written[:0], b...)
	return len(b), nil
}

func (r *recorder) Read(b []byte) (int, error) {
	reply := ":0\r\n"
	if strings.HasPrefix(string(r.written), "*2\r\n$5\r\nhello\r\n") {
		reply = "-ERR unknown command\r\n" // as an old server, which asks for no more
	}
	return copy(b, reply), nil
}

// newRecordingClient returns a client of go-redis whose connection is a recorder.
func newRecordingClient(t *testing.T) (*redis.Client, *recorder) {
	t.Helper()
	conn, _ := net.Pipe()
	r := &recorder{Conn: conn}
	rdb := redis.NewClient(&redis.Options{
		Dialer:          func(context.Context, string, string) (net.Conn, error) { return r, nil },
		Protocol:        2,
		DisableIdentity: true,
	})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb, r
}

// PayloadBytes returns what go-redis writes.
func TestPayloadBytesAreThoseOfGoRedis(t *testing.T) {
	rdb, conn := newRecordingClient(t)
	for _, payload := range payloadsOfEveryType() {
		t.Run(nameOf(payload), func(t *testing.T) {
			if strings.Contains(t.Name(), "uintptr") && redis.Version() < "9.23" {
				t.Skip("go-redis writes a uintptr from v9.23 on")
			}
			if err := rdb.Publish(t.Context(), "reports", payload).Err(); err != nil {
				t.Fatalf("go-redis: %v", err)
			}
			got, err := rediscmd.PayloadBytes(nil, payload)
			if err != nil {
				t.Fatal(err)
			}
			if command := fmt.Sprintf("*3\r\n$7\r\npublish\r\n$7\r\nreports\r\n$%d\r\n%s\r\n", len(got), got); command != string(conn.written) {
				t.Errorf("PayloadBytes returned %q; go-redis writes %q", got, conn.written)
			}
		})
	}
}

// PayloadBytes refuses what go-redis refuses.
func TestPayloadsThatGoRedisRefuses(t *testing.T) {
	rdb, _ := newRecordingClient(t)
	for _, payload := range []any{
		struct{}{}, map[string]int{}, []string{"a"}, []int{1}, namedString("x"), new([]byte), new(any), any(time.Monday),
		complex(1, 2), errors.New("x"), func() {}, make(chan int), new(net.IP), [2]byte{}, big.NewInt(1), failing{},
	} {
		t.Run(fmt.Sprintf("%T", payload), func(t *testing.T) {
			if b, err := rediscmd.PayloadBytes(nil, payload); err == nil || b != nil {
				t.Errorf("PayloadBytes returned %q, %v, want an error", b, err)
			}
			if err := rdb.Publish(t.Context(), "reports", payload).Err(); err == nil {
				t.Error("go-redis accepts it")
			}
		})
	}
}

type namedString string

// marshaled is a payload whose MarshalBinary returns its text.
type marshaled string

func (m marshaled) MarshalBinary() ([]byte, error) { return []byte(m), nil }

// failing is a payload whose MarshalBinary fails.
type failing struct{}

func (failing) MarshalBinary() ([]byte, error) { return nil, errors.New("refused") }

// once is a payload whose MarshalBinary fails on the first call, and only then.
type once struct{ failed error }

func (o *once) MarshalBinary() ([]byte, error) {
	if o.failed == nil {
		o.failed = errors.New("not yet")
		return nil, o.failed
	}
	return []byte("second"), nil
}

// Refused makes go-redis fail with the same error, and does not marshal the payload again.
func TestRefused(t *testing.T) {
	o := new(once)
	_, err := rediscmd.PayloadBytes(nil, o)
	if !errors.Is(err, o.failed) {
		t.Fatalf("PayloadBytes returned %v, want the error of MarshalBinary", err)
	}
	refused := rediscmd.Refused(o, err)
	if _, again := rediscmd.PayloadBytes(nil, refused); !errors.Is(again, o.failed) {
		t.Errorf("marshaled again, it fails with %v, want %v", again, o.failed)
	}
	unsupported := struct{}{}
	_, err = rediscmd.PayloadBytes(nil, unsupported)
	if refused := rediscmd.Refused(unsupported, err); err == nil || refused != unsupported {
		t.Errorf("in place of a type that go-redis refuses there is %v (%v), want the payload itself", refused, err)
	}
}

func TestAllocationsOfPayloadBytes(t *testing.T) {
	scratch := make([]byte, 0, 64)
	for _, tt := range []struct {
		name    string
		payload any
	}{
		{"string", strings.Repeat("x", 1000)},
		{"bytes", make([]byte, 1000)},
		{"number", 1234567890},
		{"float", 1.5},
	} {
		if got := testing.AllocsPerRun(100, func() { _, _ = rediscmd.PayloadBytes(scratch, tt.payload) }); got != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, got)
		}
	}
}

// payloadsOfEveryType returns payloads of every type that go-redis accepts, with the limits
// of the type.
func payloadsOfEveryType() []any {
	zone := time.FixedZone("", 5*3600+1800)
	moment := time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, zone)
	payloads := []any{
		nil, "", "text", `{"a":1}`, "\xff\x00", []byte(nil), []byte{}, []byte("bytes"),
		moment, moment.UTC(), time.Time{}, &moment, (*time.Time)(nil),
		net.IP(nil), net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 1).To4(), net.ParseIP("::1"),
		netip.MustParseAddr("10.0.0.1"), &url.URL{Scheme: "redis", Host: "localhost"}, marshaled("binary \xff"), marshaled(""),
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

// pointers returns the values, pointers to them, and a nil pointer.
func pointers[T any](values ...T) []any {
	all := []any{(*T)(nil)}
	for i := range values {
		all = append(all, values[i], &values[i])
	}
	return all
}

// nameOf returns the type and the value of a payload. A pointer stands for its value.
func nameOf(payload any) string {
	if v := reflect.ValueOf(payload); v.Kind() == reflect.Pointer && !v.IsNil() {
		return fmt.Sprintf("%T %v", payload, v.Elem())
	}
	return fmt.Sprintf("%T %v", payload, payload)
}
