// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Kind is the kind of a payload. Each is written in another form of envelope.
type Kind string

// The kinds of payload.
const (
	Text   Kind = "text"
	JSON   Kind = "JSON"
	Binary Kind = "binary"
)

// Sampling is how spans are sampled.
type Sampling string

// The kinds of sampling.
const (
	Sampled   Sampling = "sampled"   // spans go to an exporter in batches
	Unsampled Sampling = "unsampled" // the SDK's sampler drops them
	NoOp      Sampling = "no-op"     // there is no SDK
)

// Sizes of payloads, in bytes.
const (
	Small  = 64
	Medium = 1 << 10
	Large  = 64 << 10
)

// The values of settings.
var (
	Kinds     = []Kind{Text, JSON, Binary}
	Sizes     = []int{Small, Medium, Large}
	Samplings = []Sampling{Sampled, Unsampled, NoOp}
	Channels  = []int{1, 100, 1_000_000}
)

// Setting is the payload and the telemetry with which a scenario is run.
type Setting struct {
	Kind     Kind     `json:"kind"`
	Size     int      `json:"size"` // of the payload, in bytes
	Sampling Sampling `json:"sampling"`
	Metrics  bool     `json:"metrics"`
	Channels int      `json:"channels"` // the number of channels that are used in turn
}

// Every returns every combination.
func Every() []Setting {
	var all []Setting
	for _, kind := range Kinds {
		for _, size := range Sizes {
			for _, sampling := range Samplings {
				for _, metrics := range []bool{false, true} {
					for _, channels := range Channels {
						all = append(all, Setting{kind, size, sampling, metrics, channels})
					}
				}
			}
		}
	}
	return all
}

// String returns the name of a benchmark, such as "text/64B/sampled/metrics=off/channels=1".
func (s Setting) String() string {
	metrics := "off"
	if s.Metrics {
		metrics = "on"
	}
	return fmt.Sprintf("%s/%s/%s/metrics=%s/channels=%d", s.Kind, strings.ReplaceAll(SizeName(s.Size), " ", ""), s.Sampling, metrics, s.Channels)
}

// SizeName returns a size with its unit, such as "64 KiB".
func SizeName(size int) string {
	if size < 1<<10 {
		return fmt.Sprintf("%d B", size)
	}
	return fmt.Sprintf("%d KiB", size>>10)
}

// Payload returns a payload of exactly s.Size bytes: text that needs no escapes, a
// document with numbers and nested objects, or bytes that are not UTF-8. It is
// always the same.
func (s Setting) Payload() string {
	switch s.Kind {
	case JSON:
		return document(s.Size)
	case Binary:
		return noise(s.Size)
	default:
		const sentence = "The order was taken, and the report is on its way. "
		return strings.Repeat(sentence, s.Size/len(sentence)+1)[:s.Size]
	}
}

func document(size int) string {
	const head, middle, tail = `{"lines":[`, `],"note":"`, `"}`
	var lines []string
	room := size - len(head) - len(middle) - len(tail)
	for i := 0; ; i++ {
		line := fmt.Sprintf(`{"id":%d,"price":%d.25,"tags":["a","b"]}`, i, i%1000)
		if room -= len(line) + 1; room < 0 {
			room += len(line) + 1
			break
		}
		lines = append(lines, line)
	}
	if len(lines) > 0 {
		room++ // the last has no comma
	}
	return head + strings.Join(lines, ",") + middle + strings.Repeat("x", room) + tail
}

func noise(size int) string {
	b := make([]byte, size)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	b[0] = 0xff // in no UTF-8
	return string(b)
}
