package tests

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// The part of a line that waits for its end counts among the bytes of all bodies, is refused when those are spent, and is given back.
func TestMessagesStreamCountsUnfinishedLines(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, map[string]string{"request.buffer.bytes": "1048576"})
	eachProtocol(t, func(t *testing.T, client *http.Client) {
		topic := harness.CreateTopic(t, b, 1)
		half := `"` + strings.Repeat("x", 600_000)
		body := strings.Repeat("y", 300_000) // for which there is room until most of the line is here
		status := func() int { return p.Do("PUT", "/messages/"+topic, body).Status }
		first, wait := (*duplex)(nil), 10*time.Millisecond
		eventually(t, 20*time.Second, "the unfinished line counts", func() bool {
			if first != nil { // the body came before the line, which was refused then
				_ = first.to.Close()
				for !first.line().Done {
				}
			}
			first = openDuplex(t, client, p.URL+"/messages/"+topic)
			first.write("1\n")
			first.line()
			first.write(half)
			time.Sleep(wait) // of what has been read of a line a client is told nothing
			wait *= 2
			return status() == 429
		})

		second := openDuplex(t, client, p.URL+"/messages/"+topic)
		second.write("2\n")
		second.line()
		go second.to.Write([]byte(half)) // it is refused while it is being written
		if a := second.line(); a.Error == nil || a.Error.Code != 429 || a.Error.Name != "too_many_requests" {
			t.Errorf("%+v", a)
		}
		if a := second.line(); !a.Done || a.Stored != 1 {
			t.Errorf("%+v", a)
		}
		first.write("\"\n")
		if a := first.line(); a.Offset == nil {
			t.Errorf("%+v", a)
		}
		eventually(t, 10*time.Second, "all is given back", func() bool { return status() == 200 })
		_ = first.to.Close()
		_ = second.to.Close()
	})
}

// What ends a stream is worth trying again as long as nothing of it is stored.
func TestMessagesStreamThatEndsWithNothingStored(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	p := startProxy(t, b, map[string]string{"messages.stream.idle.timeout.ms": "1000"})
	d := openDuplex(t, http.DefaultClient, p.URL+"/messages/"+harness.CreateTopic(t, b, 1)+"?partition=7")
	d.write("1\n")
	if a := d.line(); a.Error == nil || a.Error.Code != 40402 {
		t.Errorf("%+v", a)
	}
	if a := d.line(); a.Error == nil || a.Error.Code != 408 || !a.Error.Retriable || a.Error.RequestID == "" {
		t.Errorf("%+v", a)
	}
	_ = d.to.Close()
}

// A stream of which not even the header of its compression has come does not hold up the shutdown.
func TestMessagesStreamAtShutdownBeforeItsHeader(t *testing.T) {
	b := harness.EmbeddedBroker(t)
	for _, encoding := range []string{"gzip", "zstd"} {
		p, err := newProxy(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.T = t
		c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(40 * time.Second))
		fmt.Fprintf(c, "POST /messages/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Encoding: %s\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
			harness.CreateTopic(t, b, 1), ndjson, encoding)
		r := bufio.NewReader(c)
		if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100") { // it reads
			t.Fatal(line, err)
		}
		_, _ = r.ReadString('\n')
		begin := time.Now()
		if err := p.stop(); err != nil || time.Since(begin) > 10*time.Second {
			t.Errorf("%s: %v after %v", encoding, err, time.Since(begin))
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 503 {
			t.Fatalf("%s: %+v %v", encoding, resp, err)
		}
		_ = resp.Body.Close()
	}
}
