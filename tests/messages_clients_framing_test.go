package tests

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// What is left of a stream that ended early must not be taken for the next request on its connection, which could be anybody's behind a
// gateway that shares connections.
func TestMessagesClientsRestOfAStream(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, clientLimits)
	topic := harness.CreateTopic(t, b, 1)
	other := "PUT /messages/" + topic + " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nOTHER"
	for _, test := range []struct{ name, length, first, broken, rest string }{
		{"a chunk that does not come", "Transfer-Encoding: chunked", "2\r\n1\n\r\n", "400\r\nhalf a line", "x\r\n0\r\n\r\n"},
		{"a length that does not come", "Content-Length: 1000", "1\n", "half a line", ""},
		{"a chunk that is none", "Transfer-Encoding: chunked", "2\r\n1\n\r\n", "nonsense\r\n" + other, ""},
		{"a chunk without its end", "Transfer-Encoding: chunked", "2\r\n1\n\r\n", "2\r\n2\nnonsense" + other, ""},
	} {
		c := dialWire(t, p.URL, "POST /messages/"+topic+" HTTP/1.1\r\nHost: x\r\nContent-Type: "+ndjson+"\r\n"+test.length+"\r\n\r\n"+test.first)
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		body := bufio.NewReader(resp.Body)
		if first, err := body.ReadString('\n'); err != nil || !strings.Contains(first, `"offset":`) {
			t.Fatalf("%s: %s %v", test.name, first, err)
		}
		fmt.Fprint(c, test.broken)
		end, err := io.ReadAll(body)
		if err != nil || !strings.Contains(string(end), `{"error":{"code":40`) || !strings.HasSuffix(string(end), `"in_doubt":0}`+"\n") {
			t.Errorf("%s: %s %v", test.name, end, err)
		}
		fmt.Fprint(c, test.rest+other)
		if more, err := readOut(c); err != nil || r.Buffered() > 0 || more != "" {
			t.Errorf("%s: the rest was answered: %s %v", test.name, more, err)
		}
	}
	if got := values(harness.ReadLog(t, b, topic)); strings.Contains(got, "OTHER") {
		t.Errorf("stored %s", got)
	}
}

// Parts without a final boundary are not all: a client that was cut off, or cut itself off, stores none of them.
func TestMessagesClientsPartsWithoutTheirEnd(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, nil)
	topic := harness.CreateTopic(t, b, 1)
	const whole = "--b\r\n\r\none\r\n--b\r\nKafka-Key: k\r\n\r\ntwo\r\n--b--"
	for n := range whole {
		r := p.Do("POST", "/messages/"+topic, whole[:n], "Content-Type", "multipart/mixed; boundary=b")
		if r.Status != 400 && (r.Status != 422 || !strings.Contains(r.Body, "no parts")) {
			t.Errorf("%q: %d %s", whole[:n], r.Status, r.Body)
		}
	}
	for _, end := range []string{"", " ", "\r\n", "\r\nafterwards"} {
		if r := p.Do("POST", "/messages/"+topic, whole+end, "Content-Type", "multipart/mixed; boundary=b"); r.Status != 200 {
			t.Errorf("%q: %d %s", end, r.Status, r.Body)
		}
	}
	if got := values(harness.ReadLog(t, b, topic)); got != strings.Repeat("one two ", 4) {
		t.Errorf("stored %s", got)
	}
}

// A stream that comes to the deadline of requests is told that, and not that the proxy shuts down.
func TestMessagesClientsStreamAtItsDeadline(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, map[string]string{"request.timeout.ms": "700"})
	topic := harness.CreateTopic(t, b, 1)
	d := openDuplex(t, http.DefaultClient, p.URL+"/messages/"+topic)
	d.write("1\n")
	if a := d.line(); a.Offset == nil {
		t.Errorf("%+v", a)
	}
	if a := d.line(); a.Error == nil || a.Error.Code != 50402 {
		t.Errorf("%+v", a)
	}
	if a := d.line(); !a.Done || a.Stored != 1 {
		t.Errorf("%+v", a)
	}
	_ = d.to.Close()
}
