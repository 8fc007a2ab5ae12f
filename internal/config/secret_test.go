package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const planted = "hunter2"

func TestSecretsFromElsewhere(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"pw": planted + "\n", "all.properties": "a.b=" + planted + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, raw := range map[string]string{
		"file":          "file:" + dir + "/pw",
		"env":           "env:THE_PASSWORD",
		"file provider": "${file:" + dir + "/all.properties:a.b}",
		"env provider":  "${env:THE_PASSWORD}",
		"dir provider":  "${dir:" + dir + ":pw}",
	} {
		c := load(t, "ssl.keystore.password="+raw+"\nclient.x=<"+raw+">", "THE_PASSWORD="+planted)
		if got := c.String("ssl.keystore.password"); got != planted {
			t.Errorf("%s: got %q", name, got)
		}
		inner := c.Prefixed("client.")["x"]
		if strings.HasPrefix(raw, "$") != (inner == "<"+planted+">") {
			t.Errorf("%s inside of a value: %q", name, inner)
		}
		assertHidden(t, c)
	}
}

// A value that is no secret by its key is one when it came from a provider.
func TestProvidedValuesAreHidden(t *testing.T) {
	c := load(t, "id=${env:X}", "X="+planted)
	if c.String("id") != planted {
		t.Error(c.String("id"))
	}
	assertHidden(t, c)
}

func TestRedaction(t *testing.T) {
	keys := []string{
		"ssl.keystore.password", "ssl.key.password", "ssl.truststore.password", "client.sasl.jaas.config", "client.ssl.keystore.key",
		"producer.ssl.key.password", "schema.registry.basic.auth.user.info", "schema.registry.bearer.auth.token", "client.some.key.pem",
		"client.sasl.oauthbearer.client.credentials.client.secret", "admin.sasl.oauthbearer.assertion.private.key.passphrase",
		"confluent.telemetry.api.secret", "consumer.SOME.PASSWORD", "client.ssl.key.pasword",
	}
	var file strings.Builder
	for _, key := range keys {
		file.WriteString(key + "=" + planted + "\n")
	}
	file.WriteString("schema.registry.url=http://user:" + planted + "@h:1,http://u2:" + planted + "@h:2\nconsumer.threads=3\nconfluent.x=1\n")
	file.WriteString("client.pem=-----BEGIN PRIVATE KEY-----" + planted + "\n")
	assertHidden(t, load(t, file.String()))

	_, err := Load(Source{Set: map[string]string{"ssl.key.pasword": planted, "zzz": planted, "ssl.spire.secret": planted, "id.password": planted}})
	if err == nil || strings.Contains(err.Error(), planted) {
		t.Error(err)
	}
}

func assertHidden(t *testing.T, c *Config) {
	t.Helper()
	for _, line := range append(c.Redacted(), c.Warnings()...) {
		if strings.Contains(line, planted) {
			t.Errorf("shows the secret: %s", line)
		}
	}
}

func TestTokenSettingsThatAreNotSecret(t *testing.T) {
	for _, key := range []string{"csrf.prevention.token.endpoint", "client.sasl.oauthbearer.token.endpoint.url", "csrf.prevention.token.max.entries"} {
		if isSecret(key) {
			t.Error(key)
		}
	}
}

func TestHugeFileIsRefused(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(name, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Source{Set: map[string]string{"ssl.key.password": "file:" + name}}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
}
