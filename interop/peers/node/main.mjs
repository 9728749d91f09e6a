// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// The peers for Node.js. The arguments are the path of the code from docs/wire-format.md, the role, host, port and channel,
// the client, its protocol, and what it returns: string or buffer.
import { createInterface } from 'node:readline'
import { ROOT_CONTEXT, context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'

trace.setGlobalTracerProvider(new BasicTracerProvider())
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
propagation.setGlobalPropagator(new CompositePropagator({
  propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()]
}))

const [path, role, host, port, channel, name, resp, returns] = process.argv.slice(2)
const snippet = await import(path)
const { connect, subscribe, message = snippet.envelope, read = payload => payload } = await import(`./${name}.mjs`)
const print = line => process.stdout.write(JSON.stringify(line) + '\n')

// report prints what a handler sees.
function report (payload) {
  const { parentSpanContext: parent } = trace.getActiveSpan()
  const baggage = propagation.getBaggage(context.active())?.getAllEntries() ?? []
  print({
    payload: Buffer.from(read(payload)).toString('base64'),
    parent: parent ? parent.traceId + '-' + parent.spanId : '',
    baggage: Object.fromEntries(baggage.map(([name, { value }]) => [name, value]))
  })
}

const lines = createInterface({ input: process.stdin })
lines.on('close', () => process.exit())
if (role === 'read') {
  // The connection is made within a span, which no message belongs to.
  trace.getTracer('peer').startActiveSpan('connect', async () => {
    const redis = await connect(host, Number(port), Number(resp))
    await subscribe(redis, channel, returns === 'buffer', message => snippet.consume(channel, message, report))
  })
} else {
  const redis = await connect(host, Number(port), Number(resp))
  for await (const line of lines) {
    const { payload, text, carrier } = JSON.parse(line)
    const bytes = Buffer.from(payload, 'base64')
    const publish = () => redis.publish(channel, message(text ? bytes.toString() : bytes))
    await context.with(propagation.extract(ROOT_CONTEXT, carrier), publish)
    print({ sent: true })
  }
}
