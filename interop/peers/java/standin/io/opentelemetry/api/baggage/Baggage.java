// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package io.opentelemetry.api.baggage;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.URLDecoder;
import java.net.URLEncoder;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Names with values. */
public record Baggage(Map<String, String> asMap) {
  public static Baggage parse(String header) {
    Map<String, String> all = new TreeMap<>();
    for (String item : header.split(",")) {
      String[] parts = item.split("=", 2);
      if (parts.length == 2) all.put(parts[0], URLDecoder.decode(parts[1], UTF_8));
    }
    return new Baggage(all);
  }

  public String format() {
    return asMap.entrySet().stream()
        .map(e -> e.getKey() + "=" + URLEncoder.encode(e.getValue(), UTF_8).replace("+", "%20"))
        .collect(Collectors.joining(","));
  }
}
