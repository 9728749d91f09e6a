// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.opentelemetry.api.GlobalOpenTelemetry;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.Scope;
import io.opentelemetry.context.propagation.TextMapGetter;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.BufferedInputStream;
import java.io.InputStreamReader;
import java.net.Socket;
import java.util.Base64;
import java.util.Map;

/** The peer for Java. Debian has no Redis client for it, so it speaks the little of RESP that it needs itself. */
public final class Peer {
  private static final ObjectMapper JSON = new ObjectMapper();
  private final String channel;
  private final Socket socket;
  private final DataInputStream in;

  Peer(String host, String port, String channel) throws IOException {
    this.channel = channel;
    socket = new Socket(host, Integer.parseInt(port));
    in = new DataInputStream(new BufferedInputStream(socket.getInputStream()));
  }

  /** The arguments are those of the other peers, but for the path of the snippet: role, host, port and channel. */
  public static void main(String[] args) throws IOException {
    // Debian has Jackson 2.14 with the limits of 2.15, but not with the way to set them for one mapper.
    StreamReadConstraints.overrideDefaultStreamReadConstraints(StreamReadConstraints.builder().maxNumberLength(10_000).build());
    Peer peer = new Peer(args[1], args[2], args[3]);
    if (args[0].equals("read")) peer.read(); else peer.write();
  }

  void read() throws IOException {
    // The connection is used within a span, which no message belongs to.
    Span connect = GlobalOpenTelemetry.getTracer("peer").spanBuilder("connect").startSpan();
    try (Scope scope = Context.current().with(connect).makeCurrent()) {
      send("SUBSCRIBE".getBytes(UTF_8), channel.getBytes(UTF_8));
      array();
      while (true) Envelope.consume(channel, array(), Peer::report);
    }
  }

  void write() throws IOException {
    var lines = new BufferedReader(new InputStreamReader(System.in, UTF_8));
    for (String line; (line = lines.readLine()) != null; ) {
      JsonNode m = JSON.readTree(line);
      Context ctx = GlobalOpenTelemetry.getPropagators().getTextMapPropagator().extract(Context.root(), m.get("carrier"), CARRIER);
      try (Scope scope = ctx.makeCurrent()) {
        String envelope = Envelope.envelope(m.get("payload").binaryValue());
        send("PUBLISH".getBytes(UTF_8), channel.getBytes(UTF_8), envelope.getBytes(UTF_8));
      }
      header();
      say(Map.of("sent", true));
    }
  }

  private static final TextMapGetter<JsonNode> CARRIER = new TextMapGetter<>() {
    public Iterable<String> keys(JsonNode m) { return m::fieldNames; }
    public String get(JsonNode m, String name) { return m.path(name).textValue(); }
  };

  static void report(byte[] payload) {
    Span parent = Context.current().span().parent();
    say(Map.of("payload", Base64.getEncoder().encodeToString(payload), "baggage", Context.current().baggage().asMap(),
        "parent", parent == null ? "" : parent.traceId() + "-" + parent.spanId()));
  }

  static void say(Map<String, ?> line) {
    System.out.writeBytes((JSON.valueToTree(line) + "\n").getBytes(UTF_8)); // whatever the locale is
    System.out.flush();
  }

  void send(byte[]... command) throws IOException {
    var out = new ByteArrayOutputStream();
    out.writeBytes(("*" + command.length + "\r\n").getBytes(UTF_8));
    for (byte[] argument : command) {
      out.writeBytes(("$" + argument.length + "\r\n").getBytes(UTF_8));
      out.writeBytes(argument);
      out.writeBytes("\r\n".getBytes(UTF_8));
    }
    socket.getOutputStream().write(out.toByteArray());
  }

  /** Reads an array of bulk strings, of which the last may be a number, and returns the last. */
  byte[] array() throws IOException {
    byte[] last = null;
    for (int n = header(); n > 0; n--) {
      in.mark(1);
      boolean number = in.read() == ':';
      in.reset();
      int length = header();
      if (number) continue;
      last = in.readNBytes(length);
      in.skipNBytes(2);
    }
    return last;
  }

  /** Reads a line, and returns the number behind its first character. */
  int header() throws IOException {
    var line = new StringBuilder();
    for (int b; (b = in.read()) != '\n'; ) {
      if (b < 0) throw new IOException("the server has closed the connection");
      line.append((char) b);
    }
    return Integer.parseInt(line.substring(1).trim());
  }
}
