// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package benchmarks

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/propagation"
)

// Watermill is the JSON envelope of its forwarder, for brokers without metadata.
const Watermill = "Watermill envelope"

// watermillEncode lets the forwarder's publisher write the envelope, and keeps the message
// that it publishes.
func watermillEncode(ctx context.Context, _ Kind, payload any) ([]byte, error) {
	m := message.NewMessage(watermill.NewUUID(), []byte(payload.(string)))
	w3c.Inject(ctx, propagation.MapCarrier(m.Metadata))
	var kept keeper
	if err := forwarder.NewPublisher(&kept, forwarder.PublisherConfig{}).Publish("channel", m); err != nil {
		return nil, err
	}
	return kept.message, nil
}

type keeper struct{ message []byte }

func (k *keeper) Publish(_ string, messages ...*message.Message) error {
	for _, m := range messages {
		k.message = m.Payload
	}
	return nil
}

func (k *keeper) Close() error { return nil }

// watermillDecode decodes the envelope of the forwarder. The forwarder's own code for that is
// part of a program, and cannot be called by itself.
func watermillDecode(_ Kind, text string) (decoded, error) {
	var envelope struct {
		Topic    string            `json:"destination_topic"`
		UUID     string            `json:"uuid"`
		Payload  []byte            `json:"payload"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := json.Unmarshal([]byte(text), &envelope); err != nil {
		return decoded{}, err
	}
	if envelope.Topic == "" {
		return decoded{}, errors.New("no topic in the envelope")
	}
	m := message.NewMessage(envelope.UUID, envelope.Payload)
	m.Metadata = envelope.Metadata
	return decoded{bytes: m.Payload, carrier: propagation.MapCarrier(m.Metadata)}, nil
}
