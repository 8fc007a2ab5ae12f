package kafka

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const plainLogin = `org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="hunter2";`

func TestParseJAAS(t *testing.T) {
	for in, want := range map[string]jaasLogin{
		plainLogin:                      {"org.apache.kafka.common.security.plain.PlainLoginModule", map[string]string{"username": "u", "password": "hunter2"}},
		"A required\n a = b c='d e' ;":  {"A", map[string]string{"a": "b", "c": "d e"}},
		`A Required a="x\"y\\z\n;=" ; `: {"A", map[string]string{"a": "x\"y\\z\n;="}},
		"A optional ;":                  {"A", map[string]string{}},
		`A required a="";`:              {"A", map[string]string{"a": ""}},
		`A required a=1.5-x_$/+@é b=c;`: {"A", map[string]string{"a": "1.5-x_$/+@é", "b": "c"}},
	} {
		got, err := parseJAAS(in)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", in, err, diff)
		}
	}
}

func TestBadJAAS(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "it is not CLASS required",
		"A":                               "it is not CLASS required",
		"A required":                      "it is not CLASS required",
		"; required a=b;":                 "it is not CLASS required",
		"A needed a=hunter2;":             "the second word is none of",
		"A required a=hunter2":            "semicolon at its end is missing",
		`A required a="hunter2`:           "a quote is not closed",
		"A required a=\"hunter2\nx\";":    "over the end of its line",
		"A required hunter2;":             "option 1 is not NAME",
		"A required a=b c hunter2 d;":     "option 2 is not NAME",
		"A required a=;":                  "option 1 is not NAME",
		"A required =hunter2;":            "option 1 is not NAME",
		"A required a=b; B required c=d;": "there is more after the semicolon",
	} {
		_, err := parseJAAS(in)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want %s", in, err, want)
		}
	}
}

func TestMechanisms(t *testing.T) {
	const scramLogin = `org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="hunter2" tokenauth="true";`
	const oauthLogin = `x.OAuthBearerLoginModule required clientId="u" clientSecret="hunter2";`
	for _, test := range []struct{ mechanism, jaas, endpoint, want string }{
		{"PLAIN", plainLogin, "", ""},
		{"plain", plainLogin, "", ""},
		{"SCRAM-SHA-256", scramLogin, "", ""},
		{"SCRAM-SHA-512", scramLogin, "", ""},
		{"OAUTHBEARER", oauthLogin, "http://127.0.0.1:1/token", ""},
		{"OAUTHBEARER", oauthLogin, "", "sasl.oauthbearer.token.endpoint.url is required"},
		{"OAUTHBEARER", oauthLogin, "file:///tmp/token", "sasl.oauthbearer.token.endpoint.url is required"},
		{"OAUTHBEARER", "x.OAuthBearerLoginModule required;", "http://h", "needs clientId and clientSecret"},
		{"OAUTHBEARER", "x.OAuthBearerLoginModule required clientId=a clientSecret=b ssl.truststore.location=/nonexistent;", "https://h", "no such file"},
		{"OAUTHBEARER", plainLogin, "http://h", "PlainLoginModule does not serve sasl.mechanism=OAUTHBEARER"},
		{"", plainLogin, "", "sasl.mechanism=GSSAPI is not supported"},
		{"AWS_MSK_IAM", plainLogin, "", "sasl.mechanism=AWS_MSK_IAM is not supported"},
		{"PLAIN", "", "", "sasl.jaas.config is required for sasl.mechanism=PLAIN"},
		{"PLAIN", scramLogin, "", "ScramLoginModule does not serve sasl.mechanism=PLAIN"},
		{"PLAIN", "com.sun.security.auth.module.Krb5LoginModule required a=b;", "", "Krb5LoginModule is not supported"},
		{"PLAIN", "x.PlainLoginModule required username=u;", "", "username and password are required"},
		{"SCRAM-SHA-512", "x.ScramLoginModule required password=hunter2;", "", "username and password are required"},
	} {
		got, err := saslMechanism(map[string]string{
			"sasl.mechanism": test.mechanism, "sasl.jaas.config": test.jaas, "sasl.oauthbearer.token.endpoint.url": test.endpoint,
		})
		switch {
		case test.want == "" && (err != nil || got.Name() != strings.ToUpper(test.mechanism)):
			t.Errorf("%s: %v", test.mechanism, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: got %v, want %s", test.mechanism, err, test.want)
		}
	}
}

// The first message of PLAIN holds what the JAAS text said.
func TestPlainSendsCredentials(t *testing.T) {
	m, err := saslMechanism(map[string]string{"sasl.mechanism": "PLAIN", "sasl.jaas.config": plainLogin})
	if err != nil {
		t.Fatal(err)
	}
	_, first, err := m.Authenticate(t.Context(), "h:1")
	if err != nil || string(first) != "\x00u\x00hunter2" {
		t.Errorf("%q %v", first, err)
	}
}

func TestOAuthToken(t *testing.T) {
	var requests []*http.Request
	var forms []string
	reply := `{"access_token":"T1","expires_in":100}`
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		requests, forms = append(requests, r), append(forms, r.PostForm.Encode())
		w.WriteHeader(status)
		_, _ = w.Write([]byte(reply))
	}))
	t.Cleanup(server.Close)
	m, err := saslMechanism(map[string]string{
		"sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.token.endpoint.url": server.URL, "sasl.oauthbearer.header.urlencode": "true",
		"sasl.oauthbearer.client.credentials.client.id": "a:b", "sasl.oauthbearer.client.credentials.client.secret": "hunter2", "sasl.oauthbearer.scope": "s",
		"sasl.jaas.config": "x.OAuthBearerLoginModule required extension_logicalCluster=lc;",
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, first, err := m.Authenticate(t.Context(), "h:1")
		if err != nil || !strings.Contains(string(first), "Bearer T1") || !strings.Contains(string(first), "logicalCluster=lc") {
			t.Fatalf("%q %v", first, err)
		}
	}
	if len(requests) != 1 {
		t.Errorf("%d requests, want 1: a token is kept", len(requests))
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("a%3Ab:hunter2"))
	if forms[0] != "grant_type=client_credentials&scope=s" || requests[0].Header.Get("Authorization") != want {
		t.Errorf("%s %v", forms[0], requests[0].Header)
	}
}

func TestTokenIsRenewed(t *testing.T) {
	now := time.Unix(0, 0)
	calls := 0
	reply := `{"access_token":"T","expires_in":100}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		_, _ = w.Write([]byte(reply))
	}))
	t.Cleanup(server.Close)
	s := &tokenSource{endpoint: server.URL, id: "a", secret: "b", client: server.Client(), now: func() time.Time { return now }}
	for _, step := range []struct {
		at   int64
		want int
	}{{0, 1}, {79, 1}, {80, 2}, {81, 2}} {
		now = time.Unix(step.at, 0)
		if _, err := s.token(t.Context()); err != nil || calls != step.want {
			t.Errorf("at %d s: %d calls, want %d (%v)", step.at, calls, step.want, err)
		}
	}
	now, reply = time.Unix(1000, 0), `{"error":"hunter2"}`
	if _, err := s.token(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.token(ctx); err == nil {
		t.Error("a cancelled context got a token")
	}
}

func FuzzJAAS(f *testing.F) {
	for _, seed := range []string{plainLogin, `A required a="x\"y" ;`, "A required a=b; B", "\"'", "= ;", `\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		login, err := parseJAAS(s)
		if err == nil && (login.Options == nil || !strings.HasSuffix(strings.TrimRight(s, " \t\r\n"), ";")) {
			t.Errorf("%q: %v", s, login)
		}
	})
}
