package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestListeners(t *testing.T) {
	for _, test := range []struct {
		name, file string
		want       []Listener
	}{
		{"default", "", []Listener{{"http", "http", "127.0.0.1:8082", nil}}},
		{"port", "port=9", []Listener{{"http", "http", "127.0.0.1:9", nil}}},
		{"empty", "listeners=\nport=9", []Listener{{"http", "http", "127.0.0.1:9", nil}}},
		{"several", "listeners=http://0.0.0.0:1, HTTPS://[::1]:2/,http://:3\nssl.keystore.location=/k",
			[]Listener{{"http", "http", "0.0.0.0:1", nil}, {"https", "https", "[::1]:2", nil}, {"http", "http", ":3", nil}}},
		{"named", "listeners=IN://a:1,OUT://a:2\nlistener.protocol.map=in:http, OUT:https\nlistener.name.out.ssl.keystore.location=/k",
			[]Listener{{"in", "http", "a:1", nil}, {"out", "https", "a:2", nil}}},
		{"free ports", "listeners=http://a:0,http://a:0", []Listener{{"http", "http", "a:0", nil}, {"http", "http", "a:0", nil}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := load(t, test.file)
			if diff := cmp.Diff(test.want, c.Listeners(), cmpopts.IgnoreFields(Listener{}, "TLS")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestListenerTLS(t *testing.T) {
	c := load(t, "listeners=IN://a:1,https://a:2,http://a:3\nlistener.protocol.map=IN:https\nssl.keystore.location=/general\nssl.key.password=p\n"+
		"ssl.client.auth=true\nlistener.name.in.ssl.keystore.location=/own\nlistener.name.IN.ssl.client.authentication=requested")
	in, https, plain := c.Listeners()[0].TLS, c.Listeners()[1].TLS, c.Listeners()[2].TLS
	if in["ssl.keystore.location"] != "/own" || in["ssl.key.password"] != "p" || in["ssl.client.authentication"] != "REQUESTED" {
		t.Error(in)
	}
	if https["ssl.keystore.location"] != "/general" || https["ssl.client.authentication"] != "REQUIRED" || https["ssl.keystore.type"] != "JKS" {
		t.Error(https)
	}
	if plain != nil {
		t.Error(plain)
	}
}

func TestClientAuthPrecedence(t *testing.T) {
	for file, want := range map[string]string{
		"":                     "NONE",
		"ssl.client.auth=true": "REQUIRED",
		"ssl.client.auth=true\nssl.client.authentication=NONE":                                   "NONE",
		"ssl.client.authentication=NONE\nlistener.name.https.ssl.client.auth=true":               "REQUIRED",
		"ssl.client.authentication=REQUIRED\nlistener.name.https.ssl.client.authentication=none": "NONE",
		"ssl.client.auth=true\nlistener.name.https.ssl.client.auth=false":                        "NONE",
	} {
		c := load(t, "listeners=https://127.0.0.1:1\nssl.keystore.location=/k\n"+file)
		if got := c.Listeners()[0].TLS["ssl.client.authentication"]; got != want {
			t.Errorf("%q: got %s, want %s", file, got, want)
		}
	}
}

func TestAdvertisedListeners(t *testing.T) {
	c := load(t, "advertised.listeners=http://proxy.example,OUT://proxy.example:443,http://[::1]\nlistener.protocol.map=OUT:https")
	want := []Listener{{"http", "http", "proxy.example", nil}, {"out", "https", "proxy.example:443", nil}, {"http", "http", "[::1]", nil}}
	if diff := cmp.Diff(want, c.AdvertisedListeners()); diff != "" {
		t.Error(diff)
	}
	if load(t, "").AdvertisedListeners() != nil {
		t.Error("not nil")
	}
}

func TestWarnings(t *testing.T) {
	for _, test := range []struct{ file, want string }{
		{"", ""},
		{"consumer.threads=50\nauthentication.method=none\nmetrics.num.samples=2", ""},
		{"consumer.threads=10", "consumer.threads=10 has no effect: there is no pool of threads"},
		{"port=1\nlisteners=http://127.0.0.1:2", "port has no effect: listeners is set"},
		{"port=1", ""},
		{"confluent.telemetry.x=1", "confluent.telemetry.x has no effect"},
		{"client.acks=1\nproducer.acks=all", "producer.acks wins over client.acks"},
		{"client.acks=1\nproducer.acks=1", ""},
		{"listeners=http://127.0.0.1:1,http://localhost:2,http://[::1]:3", ""},
		{"listeners=http://0.0.0.0:1", "SECURITY: everybody who reaches http://0.0.0.0:1"},
		{"listeners=http://:1", "SECURITY"},
		{"listeners=http://0.0.0.0:1\ninsecure.no.auth=true", ""},
		{"listeners=https://0.0.0.0:1\nssl.keystore.location=/k", "SECURITY"},
		{"listeners=https://0.0.0.0:1\nssl.keystore.location=/k\nssl.client.authentication=REQUIRED", ""},
	} {
		got := strings.Join(load(t, test.file).Warnings(), "\n")
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.file, got, test.want)
		}
	}
}
