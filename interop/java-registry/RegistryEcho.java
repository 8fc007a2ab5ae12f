import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.CodedInputStream;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.util.JsonFormat;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.everit.json.schema.loader.SchemaLoader;
import org.json.JSONObject;
import org.json.JSONTokener;

/**
 * Does what Java's serializers for a Schema Registry do, with the libraries that those are made of, and is given records that others have
 * written. Standard input has one case on each line:
 *
 * <pre>{"format": "avro", "schema": text, "value": JSON text, "from": topic, "to": topic, "files": base64 of a FileDescriptorSet, for protobuf}</pre>
 *
 * The first record of the topic "from" is read by the schema whose id it carries, and what it says is printed as {"id", "json"}. Then the
 * case's value is written to the topic "to", with the schema, which is registered under that topic's subject. Usage:
 *
 * <pre>RegistryEcho BOOTSTRAP REGISTRY-URL</pre>
 */
public final class RegistryEcho {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final String REGISTRY_TYPE = "application/vnd.schemaregistry.v1+json";
    private static final ObjectMapper JSON = new ObjectMapper();

    private final HttpClient http = HttpClient.newHttpClient();
    private final String registry;
    private final Map<Integer, JsonNode> known = new HashMap<>();

    private RegistryEcho(String registry) {
        this.registry = registry;
    }

    public static void main(String[] args) throws Exception {
        List<JsonNode> cases = new ArrayList<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            cases.add(JSON.readTree(line));
        }
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        RegistryEcho echo = new RegistryEcho(args[1]);
        Map<String, byte[]> records = read(args[0], cases.stream().map(c -> c.get("from").textValue()).toList());
        for (JsonNode c : cases) {
            out.println(JSON.writeValueAsString(echo.read(c, records.get(c.get("from").textValue()))));
        }
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(Map.of("bootstrap.servers", args[0]), new ByteArraySerializer(), new ByteArraySerializer())) {
            for (JsonNode c : cases) {
                producer.send(new ProducerRecord<>(c.get("to").textValue(), 0, null, echo.write(c))).get();
            }
        }
    }

    /** Gives the value of the first record of each topic. */
    private static Map<String, byte[]> read(String bootstrap, List<String> topics) {
        Map<String, byte[]> records = new HashMap<>();
        Instant end = Instant.now().plus(LIMIT);
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = topics.stream().map(topic -> new TopicPartition(topic, 0)).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (records.size() < topics.size()) {
                if (Instant.now().isAfter(end)) {
                    throw new IllegalStateException("only " + records.size() + " of " + topics.size() + " records within " + LIMIT);
                }
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    records.putIfAbsent(record.topic(), record.value());
                }
            }
        }
        return records;
    }

    private ObjectNode read(JsonNode c, byte[] data) throws Exception {
        ByteBuffer in = ByteBuffer.wrap(data);
        if (in.get() != 0) {
            throw new IllegalStateException("the record does not begin with a zero byte");
        }
        int id = in.getInt();
        JsonNode schema = byID(id);
        String type = schema.path("schemaType").asText("AVRO");
        byte[] body = new byte[in.remaining()];
        in.get(body);
        String json;
        switch (type) {
            case "AVRO":
                json = readAvro(schema.get("schema").textValue(), body);
                break;
            case "JSON":
                json = new String(body, StandardCharsets.UTF_8);
                validate(schema.get("schema").textValue(), json);
                break;
            default:
                json = readProtobuf(file(c), body);
        }
        return JSON.createObjectNode().put("id", id).put("json", json);
    }

    private byte[] write(JsonNode c) throws Exception {
        String schema = c.get("schema").textValue();
        String value = c.get("value").textValue();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        switch (c.get("format").textValue()) {
            case "avro":
                header(out, register(c, "AVRO"));
                writeAvro(schema, value, out);
                break;
            case "jsonschema":
                validate(schema, value);
                header(out, register(c, "JSON"));
                out.write(JSON.writeValueAsBytes(JSON.readTree(value)));
                break;
            default:
                header(out, register(c, "PROTOBUF"));
                writeProtobuf(file(c), value, out);
        }
        return out.toByteArray();
    }

    private static void header(ByteArrayOutputStream out, int id) {
        out.writeBytes(ByteBuffer.allocate(5).put((byte) 0).putInt(id).array());
    }

    private static String readAvro(String text, byte[] body) throws IOException {
        Schema schema = new Schema.Parser().parse(text);
        Object value = new GenericDatumReader<>(schema).read(null, DecoderFactory.get().binaryDecoder(body, null));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        var encoder = EncoderFactory.get().jsonEncoder(schema, out);
        new GenericDatumWriter<Object>(schema).write(value, encoder);
        encoder.flush();
        return out.toString(StandardCharsets.UTF_8);
    }

    private static void writeAvro(String text, String json, ByteArrayOutputStream out) throws IOException {
        Schema schema = new Schema.Parser().parse(text);
        Object value = new GenericDatumReader<>(schema).read(null, DecoderFactory.get().jsonDecoder(schema, json));
        var encoder = EncoderFactory.get().directBinaryEncoder(out, null);
        new GenericDatumWriter<Object>(schema).write(value, encoder);
        encoder.flush();
    }

    private static void validate(String schema, String json) {
        Object value = new JSONTokener(json).nextValue();
        SchemaLoader.load(new JSONObject(schema)).validate(value);
    }

    private static FileDescriptor file(JsonNode c) throws Exception {
        FileDescriptorSet set = FileDescriptorSet.parseFrom(Base64.getDecoder().decode(c.get("files").textValue()));
        Map<String, FileDescriptor> built = new HashMap<>();
        FileDescriptor last = null;
        for (FileDescriptorProto proto : set.getFileList()) { // what is imported comes first
            List<FileDescriptor> imports = new ArrayList<>();
            proto.getDependencyList().forEach(name -> imports.add(built.get(name)));
            last = FileDescriptor.buildFrom(proto, imports.toArray(new FileDescriptor[0]));
            built.put(proto.getName(), last);
        }
        return last;
    }

    private static String readProtobuf(FileDescriptor file, byte[] body) throws IOException {
        CodedInputStream in = CodedInputStream.newInstance(body);
        int count = in.readSInt32();
        Descriptor message = file.getMessageTypes().get(count == 0 ? 0 : in.readSInt32());
        for (int i = 1; i < count; i++) {
            message = message.getNestedTypes().get(in.readSInt32());
        }
        DynamicMessage m = DynamicMessage.parseFrom(message, in);
        return JsonFormat.printer().alwaysPrintFieldsWithNoPresence().preservingProtoFieldNames().omittingInsignificantWhitespace().print(m);
    }

    private static void writeProtobuf(FileDescriptor file, String json, ByteArrayOutputStream out) throws IOException {
        DynamicMessage.Builder m = DynamicMessage.newBuilder(file.getMessageTypes().get(0));
        JsonFormat.parser().merge(json, m);
        CodedOutputStream coded = CodedOutputStream.newInstance(out);
        coded.writeSInt32NoTag(0); // the first message of the file
        m.build().writeTo(coded);
        coded.flush();
    }

    private JsonNode byID(int id) throws Exception {
        if (!known.containsKey(id)) {
            known.put(id, ask(HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build()));
        }
        return known.get(id);
    }

    private int register(JsonNode c, String type) throws Exception {
        ObjectNode body = JSON.createObjectNode().put("schema", c.get("schema").textValue()).put("schemaType", type);
        return ask(HttpRequest.newBuilder(URI.create(registry + "/subjects/" + c.get("to").textValue() + "-value/versions"))
                        .header("Content-Type", REGISTRY_TYPE)
                        .POST(HttpRequest.BodyPublishers.ofString(JSON.writeValueAsString(body)))
                        .build())
                .get("id")
                .intValue();
    }

    private JsonNode ask(HttpRequest request) throws Exception {
        HttpResponse<String> reply = http.send(request, HttpResponse.BodyHandlers.ofString());
        if (reply.statusCode() != 200) {
            throw new IllegalStateException(request.uri() + ": " + reply.statusCode() + " " + reply.body());
        }
        return JSON.readTree(reply.body());
    }
}
