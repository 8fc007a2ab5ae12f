package httpapi

import (
	"slices"
	"strings"
	"testing"
)

const v2Type, jsonV2, binaryV2 = "application/vnd.kafka.v2+json", "application/vnd.kafka.json.v2+json", "application/vnd.kafka.binary.v2+json"

func TestNegotiate(t *testing.T) {
	both := []string{v2Type, jsonV2}
	for _, test := range []struct {
		accept []string
		offers []string
		want   string
	}{
		{nil, both, v2Type},
		{[]string{"*/*"}, both, v2Type},
		{[]string{"application/*"}, both, v2Type},
		{[]string{""}, both, v2Type},
		{[]string{jsonV2}, both, jsonV2},
		{[]string{strings.ToUpper(jsonV2)}, both, jsonV2},
		{[]string{" " + jsonV2 + " "}, both, jsonV2},
		{[]string{jsonV2 + "; charset=utf-8"}, both, jsonV2},
		{[]string{"text/html, " + v2Type + ";q=0.5"}, both, v2Type},
		{[]string{"application/json"}, both, ""},
		{[]string{"text/plain"}, both, ""},
		{[]string{v2Type + ";q=0"}, []string{v2Type}, ""},
		{[]string{v2Type + ";q=0, */*"}, both, jsonV2}, // the closest range gives the quality
		{[]string{"*/*;q=0.1, " + jsonV2}, both, jsonV2},
		{[]string{"*/*, " + jsonV2 + ";q=0.1"}, both, v2Type},
		{[]string{"*/*, " + jsonV2}, both, jsonV2},           // equals: the more specific range
		{[]string{"application/*, " + jsonV2}, both, jsonV2}, // the same one step lower
		{[]string{jsonV2 + ", " + v2Type}, both, jsonV2},     // equals: the client's order
		{[]string{"application/*, */*"}, both, v2Type},       // equals: the server's order
		{[]string{"text/html", jsonV2}, both, jsonV2},        // two headers
		{[]string{"*; q=.2"}, both, v2Type},                  // java.net.HttpURLConnection
		{[]string{"text/html, *; q=.2"}, both, v2Type},       //
		{[]string{"rubbish"}, both, v2Type},                  // nothing that can be parsed asks for nothing
		{[]string{"rubbish, text/html"}, both, ""},           //
		{[]string{jsonV2 + ";q=rubbish"}, both, jsonV2},      // an unreadable quality is none
		{[]string{jsonV2 + ";q=NaN"}, both, jsonV2},          //
		{[]string{jsonV2 + ";q=7"}, both, jsonV2},            //
		{[]string{jsonV2 + ";q=-1"}, both, jsonV2},           //
		{[]string{jsonV2 + ";Q=0.2," + v2Type + ";q=0.3"}, both, v2Type},
		{[]string{";;;,,,/,a/,/b"}, both, v2Type},
	} {
		if got := negotiate(test.accept, test.offers); got != test.want {
			t.Errorf("Accept %q: %q, want %q", test.accept, got, test.want)
		}
	}
}

func TestRequestType(t *testing.T) {
	for _, test := range []struct{ header, want string }{
		{"", ""},
		{jsonV2, jsonV2},
		{strings.ToUpper(jsonV2), jsonV2},
		{jsonV2 + "; charset=UTF-8", jsonV2},
		{jsonV2 + ";charset=utf8", jsonV2},
		{jsonV2 + `; charset="us-ascii"`, jsonV2},
		{jsonV2 + "; boundary=x", jsonV2},
		{jsonV2 + "; charset=utf-16", "?"},
		{jsonV2 + "; charset=latin1", "?"},
		{"rubbish; =", "?"},
		{"a/b; c=d; c=e", "?"},
		{"/", "?"},
	} {
		if got := requestType(test.header); got != test.want {
			t.Errorf("Content-Type %q: %q, want %q", test.header, got, test.want)
		}
	}
}

// FuzzNegotiate: whatever the client sends, the answer is an offer or none, and an offer that it names literally and alone is taken.
func FuzzNegotiate(f *testing.F) {
	for _, seed := range []string{"", "*/*", "*; q=.2", jsonV2 + ";q=0.5, */*;q=0.1", "a/b;q=1;q=0", "text/*;q=NaN"} {
		f.Add(seed)
	}
	offers := []string{v2Type, jsonV2, binaryV2}
	f.Fuzz(func(t *testing.T, accept string) {
		got := negotiate([]string{accept}, offers)
		if got != "" && !slices.Contains(offers, got) {
			t.Errorf("Accept %q: %q is no offer", accept, got)
		}
		if slices.Contains(offers, accept) && got != accept {
			t.Errorf("Accept %q: %q", accept, got)
		}
		if !strings.Contains(accept, "q") && !strings.Contains(accept, "Q") && negotiate([]string{accept, "*/*"}, offers) == "" {
			t.Errorf("Accept %q and */*: none", accept)
		}
	})
}

func TestAcceptsGzip(t *testing.T) {
	for _, test := range []struct {
		header string
		want   bool
	}{
		{"gzip", true}, {"GZIP", true}, {"x-gzip", true}, {"deflate, gzip;q=0.5", true}, {"*", true}, {"br, *;q=0.1", true},
		{"", false}, {"identity", false}, {"deflate, br", false}, {"gzip;q=0", false}, {"*;q=0", false},
		{"gzip;q=0, *", false}, {"*, gzip;q=0", false}, // * is for what is not named
		{"*;q=0, gzip", true},
	} {
		if got := acceptsGzip(map[string][]string{"Accept-Encoding": {test.header}}); got != test.want {
			t.Errorf("Accept-Encoding %q: %v", test.header, got)
		}
	}
	if acceptsGzip(nil) {
		t.Error("no header: gzip")
	}
}
