// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tracedpubsub/tracedpubsub"
)

// logged returns the line that package slog writes for a value.
func logged(newHandler func(w io.Writer, opts *slog.HandlerOptions) slog.Handler, key string, value any) string {
	var line strings.Builder
	opts := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}}
	slog.New(newHandler(&line, opts)).Info("", key, value)
	return strings.TrimSuffix(line.String(), "\n")
}

func asText(w io.Writer, opts *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, opts) }
func asJSON(w io.Writer, opts *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, opts) }

// A log has what identifies a message, and never its payload.
func TestMessageLogValue(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, tt := range []struct {
		name, reason string
		message      *tracedpubsub.Message
		text, json   string
	}{
		{"usual", "the payload may be a secret, its size is not", tracedpubsub.NewMessage("reports", "", "top secret"),
			`msg.channel=reports msg.payload_size=10`, `{"msg":{"channel":"reports","payload_size":10}}`},
		{"envelope", "the size is that of the payload", tracedpubsub.NewMessage("reports", "", `{"tracedpubsub":1,"payload":"hello"}`),
			`msg.channel=reports msg.payload_size=5`, `{"msg":{"channel":"reports","payload_size":5}}`},
		{"pattern", "only pattern subscriptions have one", tracedpubsub.NewMessage("report.7", "report.*", ""),
			`msg.channel=report.7 msg.pattern=report.* msg.payload_size=0`, `{"msg":{"channel":"report.7","pattern":"report.*","payload_size":0}}`},
		{"odd names", "a name may be anything", &tracedpubsub.Message{Channel: "a\nb", Pattern: "\x1b[2J"},
			`msg.channel="\"a\\nb\"" msg.pattern="\"\\x1b[2J\"" msg.payload_size=0`, `{"msg":{"channel":"\"a\\nb\"","pattern":"\"\\x1b[2J\"","payload_size":0}}`},
		{"long name", "each line would have a mebibyte", &tracedpubsub.Message{Channel: long},
			`msg.channel="\"` + long[:100] + `…\"" msg.payload_size=0`, `{"msg":{"channel":"\"` + long[:100] + `…\"","payload_size":0}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := logged(asText, "msg", tt.message); got != tt.text {
				t.Errorf("the text is %.300s, want %.300s: %s", got, tt.text, tt.reason)
			}
			if got := logged(asText, "msg", *tt.message); got != tt.text {
				t.Errorf("the text of a copy is %.300s, want %.300s: %s", got, tt.text, tt.reason)
			}
			if got := logged(asJSON, "msg", tt.message); got != tt.json {
				t.Errorf("the JSON is %.300s, want %.300s: %s", got, tt.json, tt.reason)
			}
		})
	}
}

func TestSubscriptionErrorLogValue(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		err          *tracedpubsub.SubscriptionError
		text, json   string
	}{
		{"recovered", "the usual end of an outage",
			&tracedpubsub.SubscriptionError{Op: tracedpubsub.OpReceive, Channels: []string{"reports"}, Recovered: true, Downtime: 1500 * time.Millisecond, Count: 2, Err: io.EOF},
			`err.op=receive err.channels="\"reports\"" err.recovered=true err.downtime=1.5s err.count=2 err.err=EOF`,
			`{"err":{"op":"receive","channels":"\"reports\"","recovered":true,"downtime":1500000000,"count":2,"err":"EOF"}}`},
		{"many channels", "a subscription may have thousands",
			&tracedpubsub.SubscriptionError{Op: tracedpubsub.OpConnect, Channels: []string{"a\n", "b", "c", "d", "e"}, Count: 1, Err: errors.New("refused")},
			`err.op=connect err.channels="\"a\\n\", \"b\", \"c\" and 2 more" err.recovered=false err.downtime=0s err.count=1 err.err=refused`,
			`{"err":{"op":"connect","channels":"\"a\\n\", \"b\", \"c\" and 2 more","recovered":false,"downtime":0,"count":1,"err":"refused"}}`},
		{"no channels", "a name that was refused", &tracedpubsub.SubscriptionError{Op: tracedpubsub.OpClientSetName, Count: 1, Err: io.EOF},
			`err.op="client setname" err.channels="" err.recovered=false err.downtime=0s err.count=1 err.err=EOF`,
			`{"err":{"op":"client setname","channels":"","recovered":false,"downtime":0,"count":1,"err":"EOF"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := logged(asText, "err", tt.err); got != tt.text {
				t.Errorf("the text is %s, want %s: %s", got, tt.text, tt.reason)
			}
			if got := logged(asJSON, "err", tt.err); got != tt.json {
				t.Errorf("the JSON is %s, want %s: %s", got, tt.json, tt.reason)
			}
		})
	}
}

var _ = []slog.LogValuer{(*tracedpubsub.Message)(nil), tracedpubsub.Message{}, (*tracedpubsub.SubscriptionError)(nil)}
