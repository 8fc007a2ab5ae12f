package kafka

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What is translated connects: TLS with stores of Java, and each mechanism with a password, against a broker that checks both.
func TestConnects(t *testing.T) {
	serverTLS, err := LoadTLS(keyStore("server.jks"), true)
	if err != nil {
		t.Fatal(err)
	}
	for mechanism, module := range map[string]string{"PLAIN": "plain.Plain", "SCRAM-SHA-256": "scram.Scram", "SCRAM-SHA-512": "scram.Scram"} {
		for password, ok := range map[string]bool{"hunter2": true, "wrong": false} {
			broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(serverTLS), kfake.EnableSASL(), kfake.Superuser(mechanism, "u", "hunter2"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Translate(ScopeAdmin, both(trustStore("trust.p12"), map[string]string{
				"bootstrap.servers": "SASL_SSL://" + strings.Join(broker.ListenAddrs(), ","), "security.protocol": "SASL_SSL", "sasl.mechanism": mechanism,
				"sasl.jaas.config": "org.apache.kafka.common.security." + module + `LoginModule required username="u" password="` + password + `";`,
			}))
			if err != nil || got.Warnings != nil {
				t.Fatal(err, got.Warnings)
			}
			err = ping(t, got.Opts)
			if (err == nil) != ok {
				t.Errorf("%s, password %s: %v", mechanism, password, err)
			}
			broker.Close()
		}
	}
}

func ping(t *testing.T, opts []kgo.Opt) error {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.RequestRetries(0))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return client.Ping(ctx)
}
