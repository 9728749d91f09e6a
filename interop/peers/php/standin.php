<?php
// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// Stands in for OpenTelemetry, which Debian has no package of: the names and arguments that docs/wire-format.md uses, no more.
namespace OpenTelemetry\Context {
    final class Context
    {
        public static ?Context $current = null;

        public function __construct(public readonly ?object $span = null, public readonly array $baggage = []) {}

        public static function getRoot(): self
        {
            return new self();
        }

        public static function getCurrent(): self
        {
            return self::$current ??= self::getRoot();
        }

        public function activate(): Scope
        {
            $scope = new Scope(self::getCurrent());
            self::$current = $this;
            return $scope;
        }
    }

    final class Scope
    {
        public function __construct(private readonly Context $before) {}

        public function detach(): void
        {
            Context::$current = $this->before;
        }
    }
}

namespace OpenTelemetry\API\Baggage {
    use OpenTelemetry\Context\Context;

    final class Baggage
    {
        public function __construct(private readonly string $value = '') {}

        public static function getCurrent(): self
        {
            return new self();
        }

        public function getAll(): array
        {
            return array_map(fn ($value) => new self($value), Context::getCurrent()->baggage);
        }

        public function getValue(): string
        {
            return $this->value;
        }
    }
}

namespace OpenTelemetry\API\Trace {
    use OpenTelemetry\Context\{Context, Scope};

    final class SpanKind
    {
        public const KIND_INTERNAL = 0, KIND_CONSUMER = 4;
    }

    final class SpanContext
    {
        public function __construct(private readonly string $traceId = '', private readonly string $spanId = '') {}

        public function isValid(): bool
        {
            return $this->traceId !== '';
        }

        public function getTraceId(): string
        {
            return $this->traceId;
        }

        public function getSpanId(): string
        {
            return $this->spanId;
        }
    }

    final class Span
    {
        public function __construct(private readonly SpanContext $context, private readonly SpanContext $parent = new SpanContext()) {}

        public static function getCurrent(): self
        {
            return Context::getCurrent()->span;
        }

        public function getContext(): SpanContext
        {
            return $this->context;
        }

        public function getParentContext(): SpanContext
        {
            return $this->parent;
        }

        public function storeInContext(Context $ctx): Context
        {
            return new Context($this, $ctx->baggage);
        }

        public function activate(): Scope
        {
            return $this->storeInContext(Context::getCurrent())->activate();
        }

        public function end(): void {}
    }

    final class SpanBuilder
    {
        private ?Context $ctx = null;

        public function setParent(Context $ctx): self
        {
            $this->ctx = $ctx;
            return $this;
        }

        public function setSpanKind(int $kind): self
        {
            return $this;
        }

        public function startSpan(): Span
        {
            $parent = ($this->ctx ?? Context::getCurrent())->span?->getContext() ?? new SpanContext();
            $traceId = $parent->isValid() ? $parent->getTraceId() : bin2hex(random_bytes(16));
            return new Span(new SpanContext($traceId, bin2hex(random_bytes(8))), $parent);
        }
    }

    final class Tracer
    {
        public function getTracer(string $name): self
        {
            return $this;
        }

        public function spanBuilder(string $name): SpanBuilder
        {
            return new SpanBuilder();
        }
    }
}

namespace OpenTelemetry\API {
    use OpenTelemetry\API\Trace\{Span, SpanContext, Tracer};
    use OpenTelemetry\Context\Context;

    final class Globals
    {
        public static function tracerProvider(): Tracer
        {
            return new Tracer();
        }

        public static function propagator(): self
        {
            return new self();
        }

        public function extract($carrier, ?object $getter = null, ?Context $ctx = null): Context
        {
            $ctx ??= Context::getCurrent();
            $span = $ctx->span;
            if (preg_match('/^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/D', $carrier['traceparent'] ?? '', $m)) {
                $span = new Span(new SpanContext($m[1], $m[2]));
            }
            $baggage = $ctx->baggage;
            foreach (array_filter(explode(',', $carrier['baggage'] ?? ''), fn ($item) => str_contains($item, '=')) as $item) {
                [$name, $value] = explode('=', $item, 2);
                $baggage[$name] = rawurldecode($value);
            }
            return new Context($span, $baggage);
        }

        public function inject(mixed &$carrier, ?object $setter = null, ?Context $ctx = null): void
        {
            $ctx ??= Context::getCurrent();
            if ($span = $ctx->span?->getContext()) {
                $carrier['traceparent'] = '00-' . $span->getTraceId() . '-' . $span->getSpanId() . '-01';
            }
            $items = array_map(fn ($name, $value) => $name . '=' . rawurlencode($value), array_keys($ctx->baggage), $ctx->baggage);
            if ($items) {
                $carrier['baggage'] = implode(',', $items);
            }
        }
    }
}
