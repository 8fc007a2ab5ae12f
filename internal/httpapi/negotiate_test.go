package httpapi

import (
	"fmt"
	"mime"
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

// FuzzMediaTypes: whatever Content-Type and Accept say, the kit chooses one of the path's endpoints and one of its types, or answers 415 or 406;
// what it understands of a Content-Type is what package mime does.
func FuzzMediaTypes(f *testing.F) {
	for _, contentType := range []string{"", jsonV2, binaryV2 + "; charset=UTF-8", v2Type + `;charset="latin1"`, "A/B ; =", "application/*", "*/*", jsonV2 + ";x*0=a"} {
		for _, accept := range []string{"", "*/*", "*; q=.2", v2Type + ";q=0", jsonV2 + ";q=0.5, text/*;q=1", "application/*;q=NaN,"} {
			f.Add(contentType, accept)
		}
	}
	chosen := func(c *Call) error {
		if !slices.Contains(c.Endpoint.Produces, c.Accept) {
			return fmt.Errorf("%q is no type of %s", c.Accept, c.Endpoint.Name)
		}
		if c.ContentType != "" && !slices.Contains(c.Endpoint.Consumes, c.ContentType) || c.ContentType == "" && !c.Endpoint.NoType {
			return fmt.Errorf("%s does not take %q", c.Endpoint.Name, c.ContentType)
		}
		c.Header().Set("Chosen", c.ContentType)
		return c.Reply(200, nil)
	}
	s := newTestServer(f, Config{},
		Endpoint{Name: "api.v2.json", Method: "POST", Path: "/a", Consumes: []string{jsonV2}, Produces: []string{v2Type, jsonV2}, Handle: chosen},
		Endpoint{Name: "api.v2.binary", Method: "POST", Path: "/a", Consumes: []string{binaryV2, v2Type}, NoType: true, Produces: []string{v2Type}, Handle: chosen})
	f.Fuzz(func(t *testing.T, contentType, accept string) {
		r := request("POST", "/a", "")
		r.Header = map[string][]string{"Content-Type": {contentType}, "Accept": {accept}}
		w := send(s, r)
		got := w.Header().Get("Chosen")
		if mediaType, params, err := mime.ParseMediaType(contentType); w.Code == 200 && got != contentType && (err != nil || got != mediaType || !isUTF8(params["charset"])) {
			t.Errorf("Content-Type %q is taken for %q: %q %v %v", contentType, got, mediaType, params, err)
		} else if known := slices.Contains([]string{jsonV2, binaryV2, v2Type}, mediaType); w.Code == 415 && known && err == nil && isUTF8(params["charset"]) {
			t.Errorf("Content-Type %q is refused", contentType)
		}
		switch produced := w.Header().Get("Content-Type"); {
		case w.Code == 200 && got != jsonV2 && produced != v2Type, w.Code == 200 && produced != v2Type && produced != jsonV2:
			t.Errorf("Accept %q for %q: %q", accept, got, produced)
		case w.Code != 200 && w.Code != 406 && w.Code != 415:
			t.Errorf("%q %q: %d %s", contentType, accept, w.Code, w.Body)
		}
	})
}

func isUTF8(charset string) bool {
	return slices.Contains([]string{"", "utf-8", "utf8", "us-ascii"}, strings.ToLower(charset))
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
