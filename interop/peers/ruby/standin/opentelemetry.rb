# SPDX-FileCopyrightText: The tracedpubsub Authors
# SPDX-License-Identifier: Apache-2.0

require 'securerandom'
require 'uri'

# OpenTelemetry stands in for the gem where it is not installed: the names and arguments that docs/wire-format.md uses, no more.
module OpenTelemetry
  Context = Struct.new(:span, :baggage) do
    def self.current
      Thread.current[:context] || self::ROOT
    end

    def self.with_current(ctx)
      before = current
      Thread.current[:context] = ctx
      yield ctx
    ensure
      Thread.current[:context] = before
    end
  end
  Context::ROOT = Context.new(nil, {}).freeze

  SpanContext = Struct.new(:hex_trace_id, :hex_span_id)
  Span = Struct.new(:context, :parent_span_id)

  module Trace
    def self.current_span(ctx = Context.current)
      ctx.span
    end
  end

  module Baggage
    def self.values(context: Context.current)
      context.baggage
    end
  end

  module Tracer
    def self.in_span(_name, kind: nil)
      parent = Trace.current_span&.context
      context = SpanContext.new(parent&.hex_trace_id || SecureRandom.hex(16), SecureRandom.hex(8))
      span = Span.new(context, [parent&.hex_span_id || '0' * 16].pack('H*'))
      Context.with_current(Context.new(span, Context.current.baggage)) { yield span }
    end
  end

  module Propagation
    def self.extract(carrier, context: Context.current)
      span, baggage = context.to_a
      match = /\A00-(\h{32})-(\h{16})-\h{2}\z/.match(carrier['traceparent'])
      span = Span.new(SpanContext.new(match[1], match[2])) if match
      items = carrier['baggage'].to_s.split(',').map { |item| item.split('=', 2) }.select { |item| item.size == 2 }
      baggage = items.to_h { |item| item.map { |part| URI.decode_www_form_component(part) } } unless items.empty?
      Context.new(span, baggage)
    end

    def self.inject(carrier, context: Context.current)
      span = context.span&.context
      carrier['traceparent'] = "00-#{span.hex_trace_id}-#{span.hex_span_id}-01" if span
      items = context.baggage.map { |name, value| "#{name}=#{URI.encode_www_form_component(value).gsub('+', '%20')}" }
      carrier['baggage'] = items.join(',') unless items.empty?
    end
  end

  def self.propagation
    Propagation
  end

  def self.tracer_provider
    self
  end

  def self.tracer(_name)
    Tracer
  end
end
