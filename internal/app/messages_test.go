package app

import (
	"testing"
	"time"

	"kafkarest/internal/config"
	"kafkarest/internal/consume"
)

// TestReach chooses the listener that other nodes are told of.
func TestReach(t *testing.T) {
	for listeners, want := range map[string]consume.Reach{
		"http://127.0.0.1:8082":                                             {Scheme: "http", Port: 8082},
		"http://0.0.0.0:8082":                                               {Scheme: "http", Port: 8082},
		"http://:8083,http://:8084":                                         {Scheme: "http", Port: 8083},
		"http://localhost:8081,http://10.0.0.5:8082":                        {Scheme: "http", Port: 8082},
		"http://[::1]:8081,http://[::]:8082":                                {Scheme: "http", Port: 8082},
		"INTERNAL://10.0.0.5:8090":                                          {Scheme: "http", Port: 8090},
		"https://0.0.0.0:8443,http://10.0.0.5:8082":                         {Scheme: "http", Port: 8082},
		"http://127.0.0.1:8082,https://0.0.0.0:8443,https://127.0.0.1:8444": {Scheme: "https", Port: 8443},
		"http://127.0.0.1:0":                                                {Scheme: "http"},
	} {
		cfg, err := config.Load(config.Source{Set: map[string]string{"listeners": listeners, "listener.protocol.map": "INTERNAL:http",
			"bootstrap.servers": "127.0.0.1:9092", "ssl.keystore.location": "keys.jks"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := reach(cfg.Listeners()); got != want {
			t.Errorf("%s: %+v, want %+v", listeners, got, want)
		}
	}
}

// A task of another node is not unknown while that may still be sending it.
func TestOrphanedGoesByTheDeliveryTimeout(t *testing.T) {
	for delivery, want := range map[string]time.Duration{"1000": 5 * time.Minute, "120000": 5 * time.Minute, "600000": 21 * time.Minute, "0": 24 * time.Hour} {
		cfg := load(t, map[string]string{"producer.delivery.timeout.ms": delivery})
		c, err := translate(cfg, startedOpts)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := taskConfig(cfg, c.producer.DeliveryTimeout, nil); err != nil || got.Orphaned != want {
			t.Errorf("delivery.timeout.ms=%s: %v, want %v, %v", delivery, got.Orphaned, want, err)
		}
	}
}
