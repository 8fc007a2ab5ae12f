package app

import (
	"testing"

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
