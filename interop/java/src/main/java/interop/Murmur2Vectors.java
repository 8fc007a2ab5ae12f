package interop;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.common.utils.Utils;

/**
 * Writes the partitions that the Java client picks for some 300 keys, as JSON. The only argument is the file to write. The keys follow
 * from a fixed seed, so that a second run writes the same bytes.
 */
public final class Murmur2Vectors {
    private static final int[] PARTITION_COUNTS = {1, 2, 3, 7, 12, 100};
    private static final int MAX_LENGTH = 64;

    private Murmur2Vectors() {}

    public static void main(String[] args) throws IOException {
        if (args.length != 1) {
            throw new IllegalArgumentException("usage: Murmur2Vectors FILE");
        }
        StringBuilder out = new StringBuilder();
        out.append("{\n\"kafka_clients\": \"").append(AppInfoParser.getVersion()).append("\",\n");
        out.append("\"partition_counts\": ").append(Arrays.toString(PARTITION_COUNTS)).append(",\n");
        out.append("\"vectors\": [\n");
        out.append(keys().values().stream().map(Murmur2Vectors::vector).collect(Collectors.joining(",\n")));
        out.append("\n]\n}\n");
        Files.writeString(Path.of(args[0]), out.toString());
    }

    /** One vector: the key in base64, its hash as a signed number, and a partition for each of the partition counts. */
    private static String vector(byte[] key) {
        int hash = Utils.murmur2(key);
        List<Integer> partitions = new ArrayList<>();
        for (int count : PARTITION_COUNTS) {
            int partition = BuiltInPartitioner.partitionForKey(key, count);
            if (partition != Utils.toPositive(hash) % count) {
                throw new IllegalStateException("the partitioner no longer is toPositive(murmur2(key)) % partitions");
            }
            partitions.add(partition);
        }
        return "{\"key\": \"" + base64(key) + "\", \"murmur2\": " + hash + ", \"partitions\": " + partitions + "}";
    }

    /** The keys by their base64 text, each once, in the order in which they were added. */
    private static Map<String, byte[]> keys() {
        Map<String, byte[]> keys = new LinkedHashMap<>();
        add(keys, new byte[0]);
        for (String text : texts()) {
            add(keys, text.getBytes(StandardCharsets.UTF_8));
        }
        Random random = new Random(20261120);
        for (int length = 0; length <= MAX_LENGTH; length++) {
            for (byte fill : new byte[] {0, (byte) 0xff}) {
                byte[] key = new byte[length];
                Arrays.fill(key, fill);
                add(keys, key);
            }
            for (int i = 0; i < 2; i++) {
                byte[] key = new byte[length];
                random.nextBytes(key);
                add(keys, key);
            }
        }
        byte[] large = new byte[1000];
        random.nextBytes(large);
        add(keys, large);
        return keys;
    }

    private static List<String> texts() {
        List<String> texts = new ArrayList<>(List.of(
                "a", "ab", "abc", "abcd", "key", "21", "foobar", "user-42", "a-little-bit-long-string",
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                " ", "\n", "\u0000", "null", "\"quoted\"", "{\"id\":1}", "42", "-1", "9223372036854775807",
                "é", "Ünïcödé", "ключ", "鍵", "مفتاح", "🔑", "👩‍👩‍👧‍👦", "a\u0301", "\ufeffbom"));
        IntStream.range(0, 20).forEach(i -> texts.add("order-" + i));
        return texts;
    }

    private static void add(Map<String, byte[]> keys, byte[] key) {
        keys.putIfAbsent(base64(key), key);
    }

    private static String base64(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }
}
