# SPDX-FileCopyrightText: The tracedpubsub Authors
# SPDX-License-Identifier: Apache-2.0

# The peer for redis-rb. Its arguments are the path of the code from docs/wire-format.md, its role, host, port and channel.
begin
  require 'opentelemetry/sdk'
  OpenTelemetry::SDK.configure
rescue LoadError
  $LOAD_PATH.unshift(File.join(__dir__, 'standin'))
  require 'opentelemetry'
end
require 'redis'

path, role, host, port, channel = ARGV
require path
$stdout.sync = true

def say(line)
  puts JSON.generate(line)
end

def report(payload)
  span = OpenTelemetry::Trace.current_span
  parent = span.parent_span_id.unpack1('H*')
  say('payload' => [payload].pack('m0'), 'baggage' => OpenTelemetry::Baggage.values,
      'parent' => parent =~ /[1-9a-f]/ ? "#{span.context.hex_trace_id}-#{parent}" : '')
end

redis = Redis.new(host: host, port: port.to_i)
if role == 'read'
  # The connection is made within a span, which no message belongs to.
  OpenTelemetry.tracer_provider.tracer('peer').in_span('connect') do
    redis.subscribe(channel) do |on|
      on.message { |name, message| consume(name, message) { |payload| report(payload) } }
    end
  end
else
  $stdin.each_line do |line|
    m = JSON.parse(line)
    ctx = OpenTelemetry.propagation.extract(m['carrier'], context: OpenTelemetry::Context::ROOT)
    OpenTelemetry::Context.with_current(ctx) { redis.publish(channel, envelope(m['payload'].unpack1('m0'))) }
    say('sent' => true)
  end
end
