package testkafka_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kafkarest/internal/testkafka"
)

// roundTripWithJava writes keyed records with kgo, lets the Java client read them and write them on, and reads those back: the two clients
// must choose the same partition for each key, and carry keys, nulls, values and headers alike.
func roundTripWithJava(ctx context.Context, t *testing.T, c *testkafka.Cluster) {
	const count = 40
	cl := client(t, c, kgo.ConsumeTopics("from-java"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if _, err := kadm.NewClient(cl).CreateTopics(ctx, 7, 1, nil, "from-go", "from-java"); err != nil {
		t.Fatal(err)
	}
	partitions := make(map[string]int32)
	for i := range count {
		r := interopRecord(i)
		if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
		partitions[string(r.Value)] = r.Partition
	}
	out := runJava(ctx, t, "Echo.java", c.Bootstrap(), "from-go", "from-java", fmt.Sprint(count))
	if lines := strings.Count(out, "\n"); lines != count {
		t.Errorf("the Java client echoed %d of %d records:\n%s", lines, count, out)
	}
	for seen := 0; seen < count; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records from Java: %v", seen, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			seen++
			compareWithJava(t, r, partitions)
		})
	}
}

// interopRecord has the null key, the empty one and others, a header, and null as the value of one header.
func interopRecord(i int) *kgo.Record {
	key := []byte(strings.Repeat("ключ\x00\xff", i)[:i*3])
	if i == 1 {
		key = nil
	}
	return &kgo.Record{
		Topic: "from-go", Key: key, Value: fmt.Appendf(nil, "value %d", i),
		Headers: []kgo.RecordHeader{{Key: "h", Value: []byte{byte(i)}}, {Key: "null"}},
	}
}

func compareWithJava(t *testing.T, r *kgo.Record, partitions map[string]int32) {
	t.Helper()
	var i int
	if _, err := fmt.Sscanf(string(r.Value), "value %d", &i); err != nil {
		t.Errorf("value %q: %v", r.Value, err)
		return
	}
	want := interopRecord(i)
	if string(r.Key) != string(want.Key) || (r.Key == nil) != (want.Key == nil) {
		t.Errorf("record %d came back with key %s, not %s", i, printable(r.Key), printable(want.Key))
	}
	if fmt.Sprint(r.Headers) != fmt.Sprint(want.Headers) || r.Headers[1].Value != nil {
		t.Errorf("record %d came back with headers %v, not %v", i, r.Headers, want.Headers)
	}
	if want.Key != nil && r.Partition != partitions[string(r.Value)] {
		t.Errorf("key %s: Java chose partition %d, kgo %d", printable(r.Key), r.Partition, partitions[string(r.Value)])
	}
}

func printable(key []byte) string {
	if key == nil {
		return "null"
	}
	return base64.StdEncoding.EncodeToString(key)
}

// TestInteropHasTheBrokersVersion holds the three places together that name a version of Kafka.
func TestInteropHasTheBrokersVersion(t *testing.T) {
	root := filepath.Join("..", "..")
	for file, want := range map[string]string{
		filepath.Join(root, "interop", "java", "pom.xml"):                      "<kafka.version>" + testkafka.Version() + "<",
		filepath.Join(root, "interop", "java-registry", "pom.xml"):             "<kafka.version>" + testkafka.Version() + "<",
		filepath.Join(root, "internal", "produce", "testdata", "murmur2.json"): `"kafka_clients": "` + testkafka.Version() + `"`,
	} {
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s does not have %s (%v)", file, want, err)
		}
	}
}

// runJava runs one of the programs of interop/java from its source, with the class path of the broker, and returns what it printed.
func runJava(ctx context.Context, t *testing.T, source string, args ...string) string {
	t.Helper()
	classpath, err := testkafka.Classpath(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	file := filepath.Join("..", "..", "interop", "java", "src", "main", "java", "interop", source)
	java, err := testkafka.Java()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, java, append([]string{"-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", classpath, file}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", source, err, out, &stderr)
	}
	return string(out)
}
