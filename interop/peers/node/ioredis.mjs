// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

import { Redis } from 'ioredis'

export const connect = (host, port, protocol) => new Redis({ host, port, protocol })

export function subscribe (redis, channel, buffers, handle) {
  redis.on(buffers ? 'messageBuffer' : 'message', (channel, message) => handle(message))
  return redis.subscribe(channel)
}
