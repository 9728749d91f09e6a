// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	b "github.com/tracedpubsub/tracedpubsub/benchmarks"
)

// comparison is a scenario in one setting, with the variants that take turns in it. The
// others are compared with the first one.
type comparison struct {
	Scenario *b.Scenario
	Setting  b.Setting
	Variants []string
	// weight is the share of the time that its runs get. A codec takes only microseconds,
	// and needs less time.
	weight float64
}

// setting is the setting from which most comparisons start.
func setting(kind b.Kind, size int, sampling b.Sampling) b.Setting {
	return b.Setting{Kind: kind, Size: size, Sampling: sampling, Channels: 1}
}

var (
	threePublish = []string{b.Raw, b.Library, b.Tutorial}
	allPublish   = []string{b.Raw, b.Floor, b.Library, b.LibraryAccounting, b.LibraryHook, b.Tutorial, b.Redisotel, b.RedisotelBare, b.Rueidis, b.Rueidisotel}
	metered      = []string{b.Raw, b.Library, b.LibraryAccounting, b.Redisotel, b.Rueidisotel}
	fewReceive   = []string{b.Raw, b.Floor, b.Library, b.Tutorial}
	allReceive   = append(slices.Clip(fewReceive), b.LibraryAccounting, b.RawLoop, b.LibraryProcess, b.LibraryChannel, b.LibraryReceive, b.LibraryFromRedis, b.Rueidis, b.Rueidisotel)
	allEncode    = []string{b.EncodingJSON, b.Library, b.Floor, b.Watermill, b.CloudEvents}
	allDecode    = []string{b.EncodingJSON, b.Library, b.Watermill, b.CloudEvents}
)

// comparisons are the comparisons that are run. They vary one part of a setting at a time;
// go test -bench has every combination.
func comparisons() []*comparison {
	return slices.Concat(publishing(), pipelines(), receiving(), codecs())
}

func publishing() []*comparison {
	var all []*comparison
	add := func(scenario *b.Scenario, s b.Setting, variants []string) {
		all = append(all, &comparison{scenario, s, variants, 1})
	}
	for _, sampling := range b.Samplings {
		add(b.Publish, setting(b.Text, b.Small, sampling), allPublish)
		add(b.Publish, setting(b.Text, b.Medium, sampling), []string{b.Raw, b.Floor, b.Library, b.Tutorial, b.Redisotel})
		for _, kind := range []b.Kind{b.JSON, b.Binary} {
			add(b.Publish, setting(kind, b.Medium, sampling), threePublish)
		}
	}
	for _, kind := range b.Kinds {
		add(b.Publish, setting(kind, b.Large, b.Sampled), threePublish)
	}
	add(b.Parallel, setting(b.Text, b.Small, b.Sampled), allPublish)
	for _, channels := range []int{100, 1_000_000} {
		s := setting(b.Text, b.Small, b.Sampled)
		s.Channels = channels
		add(b.Publish, s, threePublish)
	}
	add(b.Publish, withMetrics(setting(b.Text, b.Small, b.Sampled)), append(slices.Clip(metered), b.LibraryDropped))
	return all
}

func pipelines() []*comparison {
	small := append([]string{b.LibraryBatch}, allPublish...)
	small[0], small[1] = small[1], small[0] // raw first
	with := func(s b.Setting, variants []string) *comparison { return &comparison{b.Pipeline, s, variants, 1} }
	return []*comparison{
		with(setting(b.Text, b.Small, b.Sampled), small),
		with(setting(b.Text, b.Small, b.Unsampled), []string{b.Raw, b.Floor, b.Library, b.LibraryAccounting, b.LibraryBatch, b.Tutorial}),
		with(setting(b.Text, b.Medium, b.Sampled), []string{b.Raw, b.Floor, b.Library, b.LibraryBatch, b.Tutorial}),
	}
}

func receiving() []*comparison {
	var all []*comparison
	add := func(s b.Setting, variants []string) {
		all = append(all, &comparison{b.Receive, s, variants, 1})
	}
	for _, sampling := range []b.Sampling{b.Sampled, b.Unsampled} {
		variants := append(slices.Clip(fewReceive), b.LibraryAccounting)
		if sampling == b.Sampled {
			variants = allReceive
		}
		add(setting(b.Text, b.Small, sampling), variants)
		add(setting(b.JSON, b.Medium, sampling), fewReceive)
		add(setting(b.Binary, b.Medium, sampling), fewReceive)
	}
	add(setting(b.Text, b.Small, b.NoOp), fewReceive)
	add(setting(b.JSON, b.Large, b.Sampled), fewReceive)
	for _, channels := range []int{100, 1_000_000} {
		s := setting(b.Text, b.Small, b.Sampled)
		s.Channels = channels
		add(s, fewReceive)
	}
	add(withMetrics(setting(b.Text, b.Small, b.Sampled)), append(slices.Clip(fewReceive), b.LibraryAccounting, b.LibraryDropped))
	return all
}

func codecs() []*comparison {
	var all []*comparison
	for _, kind := range b.Kinds {
		for _, size := range b.Sizes {
			s := setting(kind, size, b.Sampled)
			encode, decode := allEncode, allDecode
			switch kind {
			case b.JSON:
				encode = append(slices.Clip(encode), b.Gjson, b.Sonic)
			case b.Binary:
				encode = append(slices.Clip(encode), b.EncodingBase64)
				decode = append([]string{b.EncodingBase64}, decode[1:]...) // the other cannot
			}
			all = append(all, &comparison{b.Encode, s, encode, 0.15}, &comparison{b.Decode, s, decode, 0.15})
		}
	}
	return all
}

func withMetrics(s b.Setting) b.Setting {
	s.Metrics = true
	return s
}
