package app

import (
	"context"
	"testing"

	"kafkarest/internal/config"
	"kafkarest/internal/kafka/embedded"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t *testing.T, set map[string]string) *config.Config {
	t.Helper()
	cfg, err := config.Load(config.Source{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func startBroker(t *testing.T) *embedded.Broker {
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
	return b
}

// ended is a context that is over: Stop then settles at once.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
