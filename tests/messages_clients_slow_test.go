package tests

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// neverRead are requests whose replies, of 8 MB and more, no kernel takes for a client that does not read. Small ones are asked for many
// times on one connection. What reads of queues hold is given back at once, or soon after where many replies share a connection.
func neverRead(topic, group string) (out []wireRequest) {
	for _, accept := range readForms {
		read := getRequest("read", "/messages/"+topic+"/-/earliest?max_bytes=16000000", accept)
		queue := getRequest("queue", "/messages/"+topic+"/"+group+"?max_bytes=16000000&wait=30&ack_timeout=600&limit=100", accept)
		switch accept {
		case mediaEvents, ndjson:
			read.line = strings.Replace(read.line, "?max_bytes=16000000", "", 1)
		case mediaRaw:
			queue.line = strings.Replace(queue.line, "ack_timeout=600", "ack_timeout=3", 1)
		}
		out = append(out, read, queue)
	}
	return out
}

// smallReplies are requests with replies that the kernel takes: their connections are idle then, and closed as such.
func smallReplies(topic, task string) []wireRequest {
	return []wireRequest{
		{"one message", "PUT /messages/" + topic, "", "x", false},
		{"lines", "POST /messages/" + topic, "Content-Type: " + ndjson + "\r\n", "1\n2\n", true},
		{"202", "POST /messages/" + topic, "Prefer: respond-async\r\n", "x", false},
		{"task", "GET " + task, "Prefer: wait=5\r\n", "", false},
		{"tasks", "GET /tasks", "", "", false},
	}
}

// slowClients opens a connection for each request and leaves it unread, or reads a byte a second.
func slowClients(ctx context.Context, t *testing.T, wg *sync.WaitGroup, url string, requests []wireRequest, read bool) map[string]*net.TCPConn {
	t.Helper()
	conns := map[string]*net.TCPConn{}
	for _, r := range requests {
		c := slowConn(t, url).(*net.TCPConn)
		text := r.text()
		if strings.Contains(r.headers, mediaRaw) {
			text = strings.Repeat(text, 50)
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%s, reads=%v", r.name, read)
		conns[name] = c
		if read {
			wg.Go(func() { sip(ctx, c) })
		}
	}
	return conns
}

// sip reads a byte each second until it fails.
func sip(ctx context.Context, c net.Conn) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if _, err := c.Read(make([]byte, 1)); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// endlessLines sends messages and reads no outcomes until it is cut off.
func endlessLines(c net.Conn, topic string) {
	fmt.Fprintf(c, "POST /messages/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", topic, ndjson)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 40_000, strings.Repeat("no!\n", 10_000)) // outcomes without records: it is they that count here
	for {
		if _, err := io.WriteString(c, chunk); err != nil {
			return
		}
	}
}

// Clients that never read, or read a byte a second, of every kind of reply are cut off; what they held comes again, and others are served.
func TestMessagesClientsThatDoNotRead(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, with(ownTasks(), with(clientLimits, map[string]string{"messages.queue.window.bytes": "16000000"})))
		small := harness.CreateTopic(t, b, 1)
		task := accept(t, &p.Endpoint, "/messages/"+small, "x")
		final(t, &p.Endpoint, task)
		queues := []*queueReader{newQueueReader(t, b, p, 60, 200_000)}
		for range 2*len(readForms) - 1 {
			q := *queues[0]
			q.group = harness.FreshName("g")
			q.get("/" + q.group + "?wait=10&limit=1&ack_timeout=0.1") // joins
			queues = append(queues, &q)
		}
		queues[0].want(204, 0, "DELETE", "/"+queues[0].group+"/1?partition=0&upto=true")
		queues[0].left = queues[0].left[1:]
		for _, q := range queues[1:] {
			q.want(204, 0, "DELETE", "/"+q.group+"/1?partition=0&upto=true")
			q.left = slices.Clone(queues[0].left)
		}
		before := atRest(t, p.URL)

		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		conns := map[string]*net.TCPConn{}
		add := func(requests []wireRequest, read bool) {
			maps.Copy(conns, slowClients(ctx, t, &wg, p.URL, requests, read))
		}
		for i, read := range []bool{false, true} {
			for j, r := range neverRead(queues[0].topic, "{group}") {
				r.line = strings.ReplaceAll(r.line, "{group}", queues[i*len(readForms)+j/2].group)
				add([]wireRequest{r}, read)
			}
			add(smallReplies(small, task), read)
		}
		lines := slowConn(t, p.URL).(*net.TCPConn)
		conns["outcomes of lines"] = lines
		wg.Go(func() { endlessLines(lines, small) })

		served := make(chan struct{})
		wg.Go(func() { // others, meanwhile
			for {
				select {
				case <-served:
					return
				default:
				}
				if r, err := p.Try(ctx, "PUT", "/messages/"+small, "healthy"); err != nil || r.Status != 200 {
					t.Errorf("a healthy client: %v %d %s", err, r.Status, r.Body)
				}
				if r, err := p.Try(ctx, "GET", "/messages/"+queues[0].topic+"/-/earliest?limit=1", ""); err != nil || r.Status != 200 {
					t.Errorf("a healthy client: %v %d %.300s", err, r.Status, r.Body)
				}
			}
		})
		awaitClosed(t, p.URL, conns)
		close(served)
		for _, q := range queues {
			q.wantAll("a client that does not read")
		}
		cancel()
		for _, c := range conns {
			_ = c.Close()
		}
		wg.Wait()
		wantNoMore(t, p.URL, before)
	})
}

// TestMessagesClientsCostNoMemory has clients hang up at every step, again and again: what the program has in memory, and open, once they have
// gone is no more than early on, however many they were. While they come the heap breathes with what they read, and says nothing.
func TestMessagesClientsCostNoMemory(t *testing.T) {
	const rounds, bound = 8, 4 << 20
	b := harness.FakeBroker(t, 1)
	p := harness.StartProcess(t, b, with(ownTasks(), with(clientLimits, map[string]string{"tasks.retention.ms": "1000"})))
	topic := harness.CreateTopic(t, b, 1)
	storePadded(t, b, topic, 60, 16_000)
	task := accept(t, &p.Endpoint, "/messages/"+topic, "x")
	final(t, &p.Endpoint, task)
	q := &queueReader{messageReader{&p.Endpoint, topic}, harness.FreshName("g"), numerals(0, 60)}
	requests := answered(topic, task)
	for _, accept := range readForms {
		requests = append(requests, getRequest("queue", "/messages/"+topic+"/"+q.group+"?wait=30&limit=2&ack_timeout=0.1", accept))
	}
	var early, files int64
	sent := 0
	for round := 1; round <= rounds; round++ {
		sent += len(hangUpsWhileSending(t, &p.Endpoint, topic, sent))
		hangUpsWhileReading(t, p.URL, requests)
		harness.Client.CloseIdleConnections()
		eventually(t, 20*time.Second, "rid of its clients", func() bool { return len(servedPorts(t, p.URL)) == 0 })
		if round == rounds/4 {
			early, files = p.RSS(), int64(openFiles(t, p.PID()))
		}
	}
	var grown, more int64
	eventually(t, time.Minute, "as small as early on", func() bool { // memory and idle connections to brokers are given back after a while
		grown, more = p.RSS()-early, int64(openFiles(t, p.PID()))-files
		return grown <= bound && more <= 4
	})
	t.Logf("%d rounds: %d MiB after a quarter of them, %d KiB and %d files more at the end", rounds, early>>20, grown>>10, more)
}
