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

	"golang.org/x/sys/unix"
)

// rawRead opens a connection of its own and sends one read on it.
func rawRead(t *testing.T, p *proxy, instance, query string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET %s/records%s HTTP/1.1\r\nHost: x\r\nAccept: %s\r\n\r\n", instance, query, harness.JSON); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// awaitReply waits until n bytes have come, without taking them.
func awaitReply(t *testing.T, c *net.TCPConn, n int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		waiting := 0
		err := raw.Control(func(fd uintptr) {
			waiting, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		})
		if err != nil {
			t.Fatal(err)
		}
		if waiting >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes came within 10 s, want %d", waiting, n)
		}
	}
}

// awaitBusy waits until a read is under way. It begins late, so that its own reads are not in that one's way.
func awaitBusy(t *testing.T, p *proxy, instance string) {
	t.Helper()
	for range 20 {
		time.Sleep(200 * time.Millisecond)
		if r := p.Read(instance, harness.JSON, "?timeout=1"); r.Status == http.StatusConflict && r.Code() == 40904 {
			return
		}
	}
	t.Fatal("a second read is never refused")
}

// A response that the client did not take is delivered again by the next read, whenever it was that the client went.
func TestLostResponseIsDeliveredAgain(t *testing.T) {
	const records, size = 40, 2000
	ways := map[string]func(t *testing.T, p *proxy, i string){
		"before there is data": func(t *testing.T, p *proxy, i string) {
			c := rawRead(t, p, i, "?timeout=20000")
			awaitBusy(t, p, i)
			c.Close()
		},
		"right after sending": func(t *testing.T, p *proxy, i string) {
			rawRead(t, p, i, "?timeout=2000").Close()
		},
		"after the response, unread": func(t *testing.T, p *proxy, i string) {
			c := rawRead(t, p, i, "?timeout=20000")
			awaitReply(t, c, 1000)
			c.Close()
		},
		"in the middle of the response": func(t *testing.T, p *proxy, i string) {
			c := rawRead(t, p, i, "?timeout=20000")
			if _, err := bufio.NewReaderSize(c, 500).Peek(100); err != nil {
				t.Fatal(err)
			}
			c.Close()
		},
	}
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		for name, hangUp := range ways {
			t.Run(name, func(t *testing.T) {
				topic := harness.CreateTopic(t, b, 1)
				i := p.Reader("json", topic)
				p.Read(i, harness.JSON, "?timeout=500") // has joined
				if name == "before there is data" {
					hangUp(t, p, i)
					more(t, p, topic, 0, records, size)
				} else {
					more(t, p, topic, 0, records, size)
					hangUp(t, p, i)
				}
				wantOffsets(t, readAfter(p, i, records), 0, records)
			})
		}
	})
}

// readAfter reads n records, trying again while the read before is still under way.
func readAfter(p *proxy, instance string, n int) []harness.Record {
	p.T.Helper()
	var list []harness.Record
	for deadline := time.Now().Add(30 * time.Second); len(list) < n && time.Now().Before(deadline); {
		r := p.Read(instance, harness.JSON, "?timeout=1000&max_bytes=60000")
		if r.Status == http.StatusConflict {
			continue
		}
		list = append(list, harness.Records(p.T, r)...)
	}
	return list
}

// offsets are those of the first records, for error texts.
func offsets(list []harness.Record) []int64 {
	var out []int64
	for _, r := range list[:min(3, len(list))] {
		out = append(out, r.Offset)
	}
	return out
}

// Most lost responses follow good ones on a connection that is kept, and each may be lost at any of its bytes.
func TestEveryLostResponseOfManyComesAgain(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, nil)
		topic := numbered(t, p, b, 200, 1000)
		i := p.Reader("json", topic)
		p.Read(i, harness.JSON, "?timeout=5000&max_bytes=1") // proves nothing yet: the first record is redelivered if it is lost
		next := int64(1)
		for next < 150 {
			c := rawRead(t, p, i, "?timeout=20000&max_bytes=5000")
			awaitReply(t, c, 100)
			c.Close()
			list := readAfter(p, i, 1)
			if len(list) == 0 || list[0].Offset != next {
				t.Fatalf("after a lost response the next read begins at %v, want offset %d", offsets(list), next)
			}
			next = list[len(list)-1].Offset + 1
		}
	})
}

// A client that does not take its response, and one that reads in its stead: what the first may not have got is not passed over.
func TestStalledResponseIsNotPassedOver(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, map[string]string{"response.write.timeout.ms": "1500"})
		topic := harness.CreateTopic(t, b, 1)
		const records = 60
		for n := 0; n < records; n += 10 { // more than the kernel takes for a client that does not read
			more(t, p, topic, n, n+10, 300_000)
		}
		i := p.Instance(harness.FreshName("g"), `{"format":"json","auto.offset.reset":"earliest","fetch.min.bytes":9000000}`)
		p.Subscribe(i, topic)
		first := harness.Records(t, p.Read(i, harness.JSON, "?timeout=10000&max_bytes=1"))
		wantOffsets(t, first, 0, 1)
		c := slowConn(t, p.URL)
		if _, err := fmt.Fprintf(c, "GET %s/records?timeout=20000 HTTP/1.1\r\nHost: x\r\nAccept: %s\r\n\r\n", i, harness.JSON); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil { // the reply has begun
			t.Fatal(err)
		}
		list := readAfter(p, i, 1)
		if len(list) == 0 || list[0].Offset != 1 {
			t.Fatalf("the next read begins at %v, want offset 1", offsets(list))
		}
	})
}
