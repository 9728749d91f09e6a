// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// CloudEvents of the SDK for JavaScript. It publishes them without an envelope, and reports their data.
import { CloudEvent, HTTP } from 'cloudevents'
import { context, propagation } from '@opentelemetry/api'

export { connect, subscribe } from './ioredis.mjs'

export function message (payload) {
  const carrier = {}
  propagation.inject(context.active(), carrier)
  const content = typeof payload === 'string'
    ? { datacontenttype: 'text/plain', data: payload }
    : { datacontenttype: 'application/octet-stream', data: new Uint8Array(payload) }
  const event = new CloudEvent({ type: 'report', source: '/reports', traceparent: carrier.traceparent, ...content })
  return HTTP.structured(event).body
}

export function read (payload) {
  const headers = { 'content-type': 'application/cloudevents+json' }
  return HTTP.toEvent({ headers, body: payload.toString() }).data
}
