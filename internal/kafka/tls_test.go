package kafka

import (
	"crypto/tls"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func stored(name string) string { return filepath.Join("testdata", "tls", name) }

func keyStore(file string, more ...string) map[string]string {
	out := map[string]string{"ssl.keystore.location": stored(file), "ssl.keystore.password": "changeit"}
	for _, pair := range more {
		name, value, _ := strings.Cut(pair, "=")
		out[name] = value
	}
	return out
}

func trustStore(file string, more ...string) map[string]string {
	out := map[string]string{"ssl.truststore.location": stored(file), "ssl.truststore.password": "changeit"}
	for _, pair := range more {
		name, value, _ := strings.Cut(pair, "=")
		out[name] = value
	}
	return out
}

func both(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// handshake connects a client to a server and gives what each side thinks of it.
func handshake(t *testing.T, server, client map[string]string, host string) (serverErr, clientErr error) {
	t.Helper()
	serverConfig, err := LoadTLS(server, true)
	if err != nil {
		t.Fatal("server:", err)
	}
	clientConfig, err := LoadTLS(client, false)
	if err != nil {
		t.Fatal("client:", err)
	}
	clientConfig.ServerName = host
	return shake(t, serverConfig, clientConfig)
}

func shake(t *testing.T, serverConfig, clientConfig *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	a, b := net.Pipe()
	deadline := time.Now().Add(10 * time.Second)
	_, _ = a.SetDeadline(deadline), b.SetDeadline(deadline)
	done := make(chan error, 1)
	go func() {
		conn := tls.Server(a, serverConfig)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte("x"))
		}
		_ = a.Close()
		done <- err
	}()
	conn := tls.Client(b, clientConfig)
	if clientErr = conn.Handshake(); clientErr == nil {
		_, clientErr = io.ReadFull(conn, make([]byte, 1))
	}
	_ = b.Close()
	return <-done, clientErr
}

func inlineFrom(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(stored(file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	cut := strings.Index(text, "-----BEGIN CERTIFICATE")
	return map[string]string{
		"ssl.keystore.type": "PEM", "ssl.keystore.key": text[:cut], "ssl.keystore.certificate.chain": text[cut:], "ssl.key.password": "changeit",
	}
}

func oneLine(props map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range props {
		out[name] = strings.TrimSpace(strings.ReplaceAll(value, "\n", " "))
	}
	return out
}

// Every form of key store serves and identifies, every form of trust store trusts, with client certificates asked for.
func TestStores(t *testing.T) {
	keys := map[string][2]map[string]string{
		"jks":             {keyStore("server.jks"), keyStore("client.jks")},
		"p12":             {keyStore("server.p12", "ssl.keystore.type=PKCS12"), keyStore("client.p12", "ssl.keystore.type=pkcs12")},
		"p12 called jks":  {keyStore("server.p12", "ssl.keystore.type=JKS"), keyStore("client-keytool.p12")},
		"pem":             {keyStore("server.pem", "ssl.keystore.type=PEM"), keyStore("client.pem", "ssl.keystore.type=PEM")},
		"encrypted pem":   {keyStore("server-encrypted.pem", "ssl.key.password=changeit"), keyStore("client-encrypted.pem", "ssl.key.password=changeit")},
		"inline":          {inlineFrom(t, "server.pem"), inlineFrom(t, "client-encrypted.pem")},
		"inline one line": {oneLine(inlineFrom(t, "server-encrypted.pem")), oneLine(inlineFrom(t, "client.pem"))},
		"key password":    {keyStore("server-keypass.jks", "ssl.key.password=keypass"), keyStore("client.jks", "ssl.key.password=changeit")},
	}
	ca, err := os.ReadFile(stored("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	trusts := map[string]map[string]string{
		"jks":                  trustStore("trust.jks"),
		"jks without password": trustStore("trust.jks", "ssl.truststore.password="),
		"p12":                  trustStore("trust.p12", "ssl.truststore.type=PKCS12"),
		"pem":                  trustStore("ca.pem", "ssl.truststore.type=PEM"),
		"inline":               {"ssl.truststore.certificates": string(ca), "ssl.truststore.type": "PEM"},
	}
	for keyForm, pair := range keys {
		for trustForm, trust := range trusts {
			server := both(both(pair[0], trust), map[string]string{"ssl.client.authentication": "REQUIRED"})
			if serverErr, clientErr := handshake(t, server, both(pair[1], trust), "localhost"); serverErr != nil || clientErr != nil {
				t.Errorf("keys %s, trust %s: %v, %v", keyForm, trustForm, serverErr, clientErr)
			}
		}
	}
}

func TestClientAuthentication(t *testing.T) {
	known, stranger := both(keyStore("client.jks"), trustStore("trust.jks")), both(selfSigned(t), trustStore("trust.jks"))
	for _, test := range []struct {
		asked  string
		client map[string]string
		ok     bool
	}{
		{"NONE", trustStore("trust.jks"), true}, {"", trustStore("trust.jks"), true}, {"none", known, true},
		{"REQUESTED", trustStore("trust.jks"), true}, {"requested", known, true}, {"REQUESTED", stranger, false},
		{"REQUIRED", trustStore("trust.jks"), false}, {"REQUIRED", known, true}, {"REQUIRED", stranger, false},
	} {
		server := both(both(keyStore("server.jks"), trustStore("trust.jks")), map[string]string{"ssl.client.authentication": test.asked})
		serverConfig, err := LoadTLS(server, true)
		if err != nil {
			t.Fatal(err)
		}
		clientConfig, err := LoadTLS(test.client, false)
		if err != nil {
			t.Fatal(err)
		}
		clientConfig.ServerName = "localhost"
		if certs := clientConfig.Certificates; len(certs) > 0 { // also one that the server does not ask for
			clientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certs[0], nil }
		}
		serverErr, _ := shake(t, serverConfig, clientConfig)
		if (serverErr == nil) != test.ok {
			t.Errorf("%s: %v", test.asked, serverErr)
		}
	}
}

func TestHostCheck(t *testing.T) {
	trust := trustStore("trust.jks")
	for _, test := range []struct {
		name      string
		client    map[string]string
		host      string
		ok        bool
		algorithm string
	}{
		{"right host", trust, "localhost", true, "https"},
		{"right host, HTTPS", trust, "localhost", true, "HTTPS"},
		{"wrong host", trust, "other.example", false, "https"},
		{"wrong host, not checked", trust, "other.example", true, ""},
		{"stranger", map[string]string{}, "localhost", false, "https"},
		{"stranger, host not checked", map[string]string{}, "localhost", false, ""},
	} {
		client := both(test.client, map[string]string{"ssl.endpoint.identification.algorithm": test.algorithm})
		if _, clientErr := handshake(t, keyStore("server.jks"), client, test.host); (clientErr == nil) != test.ok {
			t.Errorf("%s: %v", test.name, clientErr)
		}
	}
	if _, clientErr := handshake(t, keyStore("server.jks"), trust, "other.example"); clientErr == nil {
		t.Error("the host is not checked by default")
	}
}

func TestVersionsAndCiphers(t *testing.T) {
	const old, modern = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"
	for _, test := range []struct {
		versions, ciphers string
		low, high         uint16
		suites            int
	}{
		{"", "", tls.VersionTLS12, 0, 0},
		{"TLSv1.3", "", tls.VersionTLS13, tls.VersionTLS13, 0},
		{"TLSv1.3, tlsv1.2", "", tls.VersionTLS12, tls.VersionTLS13, 0},
		{"TLSv1.2,TLSv1.1,TLSv1", "", tls.VersionTLS10, tls.VersionTLS12, 0},
		{"", old, tls.VersionTLS12, tls.VersionTLS12, 1},
		{"TLSv1.1", old, tls.VersionTLS11, tls.VersionTLS11, 1},
		{"", modern, tls.VersionTLS13, 0, 0},
		{"", old + "," + modern, tls.VersionTLS12, 0, 1},
	} {
		got, err := LoadTLS(map[string]string{"ssl.enabled.protocols": test.versions, "ssl.cipher.suites": test.ciphers}, false)
		if err != nil || got.MinVersion != test.low || got.MaxVersion != test.high || len(got.CipherSuites) != test.suites {
			t.Errorf("%s %s: %v, %+v", test.versions, test.ciphers, err, got)
		}
	}
}

func TestTLSErrors(t *testing.T) {
	for _, test := range []struct {
		props  map[string]string
		server bool
		want   string
	}{
		{map[string]string{}, true, "ssl.keystore.location is required"},
		{keyStore("server.jks", "ssl.client.authentication=REQUIRED"), true, "ssl.truststore.location is required"},
		{keyStore("server.jks", "ssl.client.authentication=MAYBE"), true, "is none of NONE, REQUESTED, REQUIRED"},
		{keyStore("none.jks"), false, "no such file"},
		{keyStore("server.jks", "ssl.keystore.password=hunter2"), false, "cannot be opened with ssl.keystore.password"},
		{keyStore("server.p12", "ssl.keystore.password=hunter2"), false, "cannot be opened with ssl.keystore.password"},
		{keyStore("server-keypass.jks"), false, "its key cannot be opened with ssl.key.password"},
		{keyStore("server-encrypted.pem"), false, "its key is encrypted and ssl.key.password is empty"},
		{keyStore("server-encrypted.pem", "ssl.key.password=hunter2"), false, "ssl.key.password is not the password"},
		{keyStore("trust.jks"), false, "holds no private key"},
		{keyStore("ca.pem"), false, "holds no private key"},
		{keyStore("make.sh"), false, "is neither a JKS nor a PKCS#12 nor a PEM file"},
		{keyStore("server.jks", "ssl.keystore.type=BCFKS"), false, "ssl.keystore.type=BCFKS is none of JKS, PKCS12, PEM"},
		{keyStore("server.jks", "ssl.keystore.key=x"), false, "are both set"},
		{map[string]string{"ssl.keystore.key": "x"}, false, "ssl.keystore.key: holds no private key"},
		{trustStore("trust.jks", "ssl.truststore.password=hunter2"), false, "cannot be opened with ssl.truststore.password"},
		{trustStore("trust.p12", "ssl.truststore.password=hunter2"), false, "ssl.truststore.location"},
		{trustStore("server.jks", "ssl.truststore.type=JKS"), false, "holds no trusted certificate"},
		{trustStore("trust.jks", "ssl.truststore.certificates=x"), false, "are both set"},
		{map[string]string{"ssl.truststore.certificates": "x"}, false, "ssl.truststore.certificates: holds no trusted certificate"},
		{map[string]string{"ssl.endpoint.identification.algorithm": "ldaps"}, false, "is neither https nor empty"},
		{map[string]string{"ssl.enabled.protocols": "SSLv3"}, false, `"SSLv3" is none of`},
		{map[string]string{"ssl.enabled.protocols": "TLSv1.1,TLSv1.3"}, false, "leaves out a version"},
		{map[string]string{"ssl.cipher.suites": "TLS_NOPE"}, false, `"TLS_NOPE" is not a suite`},
		{map[string]string{"ssl.cipher.suites": "TLS_AES_128_GCM_SHA256", "ssl.enabled.protocols": "TLSv1.2"}, false, "has no suite for the versions"},
	} {
		_, err := LoadTLS(test.props, test.server)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: got %v, want %s", test.props, err, test.want)
		}
	}
}

// The chain that is sent starts with the key's own certificate and ends with the authority, whatever the order in the store.
func TestChainOrder(t *testing.T) {
	for _, file := range []string{"server.jks", "server.p12", "server.pem"} {
		cert, err := keyStoreOf(keyStore(file))
		if err != nil {
			t.Fatal(err)
		}
		if cert.Leaf.Subject.CommonName != "server" || len(cert.Certificate) != 2 || !slices.Equal(cert.Certificate[0], cert.Leaf.Raw) {
			t.Errorf("%s: %s, %d certificates", file, cert.Leaf.Subject, len(cert.Certificate))
		}
	}
}

func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	put := func(from string, age time.Duration) {
		data, err := os.ReadFile(stored(from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1e9, 0).Add(age)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	props := map[string]string{"ssl.keystore.location": file, "ssl.keystore.password": "changeit", "ssl.keystore.reload": "true"}
	put("server.jks", 0)
	first, err := keyStoreOf(props)
	if err != nil {
		t.Fatal(err)
	}
	r := newReloader(props, first)
	now := time.Now()
	r.now = func() time.Time { return now }
	expect := func(step, want string) {
		t.Helper()
		cert, err := r.certificate(nil)
		if err != nil || cert.Leaf.Subject.CommonName != want {
			t.Errorf("%s: %v %v", step, cert.Leaf.Subject, err)
		}
	}
	put("client.jks", time.Minute)
	expect("within a second", "server")
	now = now.Add(2 * time.Second)
	expect("after it", "client")
	put("make.sh", 2*time.Minute)
	now = now.Add(2 * time.Second)
	expect("a broken file", "client")
	put("server.p12", 3*time.Minute)
	now = now.Add(2 * time.Second)
	expect("a good one again", "server")

	config, err := LoadTLS(props, true)
	if err != nil {
		t.Fatal(err)
	}
	client, err := LoadTLS(trustStore("trust.jks"), false)
	if err != nil {
		t.Fatal(err)
	}
	client.ServerName = "localhost"
	if serverErr, clientErr := shake(t, config, client); serverErr != nil || clientErr != nil {
		t.Error(serverErr, clientErr)
	}
}

func FuzzPEM(f *testing.F) {
	for _, file := range []string{"server.pem", "client-encrypted.pem", "ca.pem"} {
		data, err := os.ReadFile(stored(file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "changeit")
	}
	f.Fuzz(func(_ *testing.T, data []byte, password string) {
		if strings.Count(string(data), "ENCRYPTED") > 0 && len(password) > 64 {
			return
		}
		_, _ = pemKeyPair(data, password)
		_, _ = pemCertificates(data)
	})
}
