package harness

import (
	"context"
	"sync"
	"testing"
	"time"

	"kafkarest/internal/testregistry"
)

// sharedRegistry is the real Schema Registry of this test run, started by the first test that needs it.
var sharedRegistry struct {
	once     sync.Once
	registry *testregistry.Registry
	err      error
}

// RealRegistry gives the URL of the one real Schema Registry that the tests of a package share.
func RealRegistry(t testing.TB) string {
	t.Helper()
	testregistry.Require(t)
	sharedRegistry.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		sharedRegistry.registry, sharedRegistry.err = testregistry.Start(ctx)
	})
	if sharedRegistry.err != nil {
		t.Fatal(sharedRegistry.err)
	}
	return sharedRegistry.registry.URL()
}

func closeRegistry() error {
	if sharedRegistry.registry == nil {
		return nil
	}
	return sharedRegistry.registry.Close()
}

// RegistrySettings are what a proxy on a broker needs to have a Schema Registry: one in its process beside an embedded broker, a real one
// beside a real Kafka.
func RegistrySettings(t testing.TB, b Broker) map[string]string {
	t.Helper()
	if b.Embedded != nil {
		return map[string]string{"schema.registry.listeners": "http://127.0.0.1:0"}
	}
	return map[string]string{"schema.registry.url": RealRegistry(t)}
}
