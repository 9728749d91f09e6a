<?php
// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

// The peer for phpredis. Its arguments are the path of the code from docs/wire-format.md, its role, host, port and channel.
use OpenTelemetry\API\Baggage\Baggage;
use OpenTelemetry\API\Globals;
use OpenTelemetry\API\Trace\Span;
use OpenTelemetry\Context\Context;

require __DIR__ . '/standin.php';
[, $path, $role, $host, $port, $channel] = $argv;
require $path;

function say(array $line): void
{
    echo json_encode($line), "\n";
}

function report(string $payload): void
{
    $parent = Span::getCurrent()->getParentContext();
    $baggage = [];
    foreach (Baggage::getCurrent()->getAll() as $name => $entry) {
        $baggage[$name] = $entry->getValue();
    }
    say(['payload' => base64_encode($payload), 'baggage' => (object) $baggage,
        'parent' => $parent->isValid() ? $parent->getTraceId() . '-' . $parent->getSpanId() : '']);
}

$redis = new Redis();
$redis->connect($host, (int) $port);
if ($role === 'read') {
    $redis->setOption(Redis::OPT_READ_TIMEOUT, -1);
    // The connection is made within a span, which no message belongs to.
    $scope = Globals::tracerProvider()->getTracer('peer')->spanBuilder('connect')->startSpan()->activate();
    $redis->subscribe([$channel], fn ($redis, $channel, $message) => consume($channel, $message, 'report'));
}
while (($line = fgets(STDIN)) !== false) {
    $m = json_decode($line, true);
    $scope = Globals::propagator()->extract($m['carrier'], null, Context::getRoot())->activate();
    $redis->publish($channel, envelope(base64_decode($m['payload'])));
    $scope->detach();
    say(['sent' => true]);
}
