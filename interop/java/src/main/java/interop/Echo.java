package interop;

import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Reads a number of records of one topic from the start and writes each, with its key, value and headers, to another topic, letting the
 * client choose the partition. It prints one line for each record:
 *
 * <pre>key in base64 or null TAB partition read from TAB partition written to</pre>
 */
public final class Echo {
    private static final Duration LIMIT = Duration.ofSeconds(30);

    private Echo() {}

    public static void main(String[] args) throws ExecutionException, InterruptedException {
        if (args.length != 4) {
            throw new IllegalArgumentException("usage: Echo BOOTSTRAP FROM TO COUNT");
        }
        Map<String, Object> common = Map.of("bootstrap.servers", args[0]);
        try (KafkaConsumer<byte[], byte[]> consumer =
                        new KafkaConsumer<>(consumerConfig(common), new ByteArrayDeserializer(), new ByteArrayDeserializer());
                KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(common, new ByteArraySerializer(), new ByteArraySerializer())) {
            consumer.subscribe(List.of(args[1]));
            echo(consumer, producer, args[2], Integer.parseInt(args[3]));
        }
    }

    private static Map<String, Object> consumerConfig(Map<String, Object> common) {
        return Map.of(
                "bootstrap.servers", common.get("bootstrap.servers"),
                "group.id", "interop-echo",
                "auto.offset.reset", "earliest",
                "enable.auto.commit", "false");
    }

    private static void echo(KafkaConsumer<byte[], byte[]> consumer, KafkaProducer<byte[], byte[]> producer, String to, int count)
            throws ExecutionException, InterruptedException {
        Instant end = Instant.now().plus(LIMIT);
        for (int done = 0; done < count; ) {
            if (Instant.now().isAfter(end)) {
                throw new IllegalStateException("only " + done + " of " + count + " records within " + LIMIT);
            }
            for (ConsumerRecord<byte[], byte[]> in : consumer.poll(Duration.ofMillis(100))) {
                RecordMetadata stored = producer.send(new ProducerRecord<>(to, null, in.key(), in.value(), in.headers())).get();
                System.out.println(text(in.key()) + "\t" + in.partition() + "\t" + stored.partition());
                done++;
            }
            consumer.commitSync();
        }
    }

    private static String text(byte[] key) {
        return key == null ? "null" : Base64.getEncoder().encodeToString(key);
    }
}
