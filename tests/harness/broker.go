package harness

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest/internal/kafka/embedded"
	"kafkarest/internal/testkafka"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Broker is where a proxy under test gets its records from.
type Broker struct {
	Name      string
	Embedded  *embedded.Broker // in this process, without a port; nil for the others
	Fake      *kfake.Cluster   // for faults that are planted in requests; nil for a real Kafka
	Bootstrap string           // "" for an embedded one
	Client    []kgo.Opt        // for a client of the test's own
}

// shared is the real Kafka of this test run, started by the first test that needs it.
var shared struct {
	once    sync.Once
	cluster *testkafka.Cluster
	err     error
}

// Main runs the tests of a package, stops what they share, and gives the exit code: os.Exit(harness.Main(m)).
func Main(m *testing.M) int {
	code := m.Run()
	if shared.cluster != nil {
		if err := shared.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close Kafka:", err)
			code = 1
		}
	}
	if err := closeRegistry(); err != nil {
		fmt.Fprintln(os.Stderr, "close the Schema Registry:", err)
		code = 1
	}
	removeBinary()
	return code
}

// EachBroker runs a test body on every broker.
func EachBroker(t *testing.T, body func(t *testing.T, b Broker)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { body(t, EmbeddedBroker(t)) })
	t.Run("kafka", func(t *testing.T) { body(t, RealBroker(t)) })
}

// EmbeddedBroker starts a broker in this process; the test's end stops it.
func EmbeddedBroker(t testing.TB) Broker {
	t.Helper()
	b, err := embedded.Start(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return Broker{Name: "embedded", Embedded: b, Fake: b.Cluster(), Client: b.Options()}
}

// FakeBroker starts the embedded broker's kernel on loopback ports, for a proxy in a process of its own.
func FakeBroker(t testing.TB, nodes int) Broker {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(nodes), kfake.DataDir(t.TempDir()), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	addrs := fake.ListenAddrs()
	return Broker{Name: "fake", Fake: fake, Bootstrap: strings.Join(addrs, ","), Client: []kgo.Opt{kgo.SeedBrokers(addrs...)}}
}

// RealBroker gives the one real Kafka that the tests of a package share.
func RealBroker(t testing.TB) Broker {
	t.Helper()
	testkafka.Require(t)
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		shared.cluster, shared.err = testkafka.Start(ctx, testkafka.Config{Authorizer: true})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return ClusterBroker(shared.cluster)
}

// ClusterBroker is a real Kafka that the test has started.
func ClusterBroker(c *testkafka.Cluster) Broker {
	return Broker{Name: "kafka", Bootstrap: c.Bootstrap(), Client: []kgo.Opt{kgo.SeedBrokers(c.Addrs()...)}}
}
