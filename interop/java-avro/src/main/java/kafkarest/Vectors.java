package kafkarest;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/**
 * Reads lines of {"schema": …, "in": "JSON text"} and adds to each what Java Avro makes of it: "binary" (hex) and "out", the JSON that
 * JsonEncoder writes of the binary; or "error". Run it with JDK 19 or newer, whose Double.toString gives the shortest digits:
 *
 * <pre>mvn -q compile exec:java -Dexec.args="vectors.jsonl ../../internal/format/testdata/avro_java.jsonl"</pre>
 */
public final class Vectors {
  private static final ObjectMapper JSON = new ObjectMapper();

  private Vectors() {}

  public static void main(String[] args) throws Exception {
    try (PrintStream out = new PrintStream(args[1], StandardCharsets.UTF_8)) {
      for (String line : Files.readAllLines(Path.of(args[0]))) {
        if (!line.isBlank()) {
          out.println(JSON.writeValueAsString(answer((ObjectNode) JSON.readTree(line))));
        }
      }
    }
  }

  private static ObjectNode answer(ObjectNode vector) {
    try {
      Schema schema = new Schema.Parser().parse(JSON.writeValueAsString(vector.get("schema")));
      Object value = new Reader(schema).read(null, DecoderFactory.get().jsonDecoder(schema, vector.get("in").textValue()));
      byte[] binary = binary(schema, value);
      vector.put("binary", HexFormat.of().formatHex(binary));
      vector.put("out", json(schema, new Reader(schema).read(null, DecoderFactory.get().binaryDecoder(binary, null))));
    } catch (Exception e) {
      vector.put("error", String.valueOf(e.getMessage()).lines().findFirst().orElse(""));
    }
    return vector;
  }

  private static byte[] binary(Schema schema, Object value) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    var encoder = EncoderFactory.get().directBinaryEncoder(out, null);
    new GenericDatumWriter<Object>(schema).write(value, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  private static String json(Schema schema, Object value) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    var encoder = EncoderFactory.get().jsonEncoder(schema, out);
    new GenericDatumWriter<Object>(schema).write(value, encoder);
    encoder.flush();
    return out.toString(StandardCharsets.UTF_8);
  }

  /** Keeps the entries of maps in their order, which the generic reader leaves to a hash table. */
  private static final class Reader extends GenericDatumReader<Object> {
    Reader(Schema schema) {
      super(schema);
    }

    @Override
    protected Object newMap(Object old, int size) {
      Map<Object, Object> map = new LinkedHashMap<>();
      return map;
    }
  }
}
