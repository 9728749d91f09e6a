// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

import { createClient } from 'redis'

export function connect (host, port, RESP) {
  const redis = createClient({ socket: { host, port }, RESP })
  redis.on('error', err => { throw err })
  return redis.connect()
}

export const subscribe = (redis, channel, buffers, handle) => redis.subscribe(channel, handle, buffers)
