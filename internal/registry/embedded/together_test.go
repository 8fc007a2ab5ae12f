package embedded_test

import (
	"net/http/httptest"
	"testing"

	"kafkarest/internal/format"
	"kafkarest/internal/registry/embedded"
	"kafkarest/internal/registry/registrytest"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// serve starts a registry over a broker, with the canonical forms that the program has.
func serve(t *testing.T) string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	r, err := embedded.New(embedded.Config{
		Kafka:     []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)},
		Canonical: format.Canonical,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	server := httptest.NewServer(r.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

// TestSuite: the embedded registry keeps every promise of the API.
func TestSuite(t *testing.T) { registrytest.Run(t, serve(t), nil) }

// TestRooms has the formats over the client over the embedded registry over a broker.
func TestRooms(t *testing.T) { registrytest.RunRooms(t, serve(t), nil) }
