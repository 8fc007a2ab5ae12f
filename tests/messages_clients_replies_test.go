package tests

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// storePadded stores numbers, each followed by so many bytes.
func storePadded(t testing.TB, b broker, topic string, count, size int) {
	t.Helper()
	var records []*kgo.Record
	for i := range count {
		records = append(records, &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", size))})
	}
	harness.Store(t, b, records...)
}

// number is that of a padded message.
func number(value string) string {
	n, _, _ := strings.Cut(strings.TrimPrefix(value, `"`), " ")
	return n
}

const (
	mediaEvents = "text/event-stream"
	mediaParts  = "multipart/mixed"
	mediaRaw    = "application/octet-stream"
)

// readForms are the forms of the replies of reads.
var readForms = []string{"application/json", mediaRaw, mediaParts, mediaEvents, ndjson}

func getRequest(name, path, accept string) wireRequest {
	return wireRequest{name: name + " as " + accept, line: "GET " + path, headers: "Accept: " + accept + "\r\n"}
}

// answered are requests of every kind of reply but those of queues, each of 15 kB or more where that can be.
func answered(topic, task string) []wireRequest {
	var out []wireRequest
	for _, accept := range readForms {
		out = append(out, getRequest("read", "/messages/"+topic+"/-/earliest", accept), getRequest("tail", "/messages/"+topic+"/-/latest?wait=30", accept))
	}
	sets := `{"records":[` + strings.Repeat(`{"value":1},`, 299) + `{"value":1}]}`
	const to, async = "POST /messages/", "Prefer: respond-async\r\n"
	out = append(out,
		wireRequest{"outcomes as lines", to + topic, "Content-Type: " + ndjson + "\r\n", strings.Repeat("1\n", 300), true},
		wireRequest{"outcomes of a set", to + topic, "Content-Type: " + harness.JSON + "\r\n", sets, false},
		wireRequest{"outcomes of a set as lines", to + topic, "Accept: " + ndjson + "\r\nContent-Type: " + harness.JSON + "\r\n", sets, false},
		wireRequest{"202", to + topic, async + "Content-Type: " + harness.JSON + "\r\n", sets, false},
		wireRequest{"202 or the outcome", to + topic, "Prefer: respond-async, wait=5\r\nContent-Type: " + harness.JSON + "\r\n", sets, false},
		wireRequest{"error", to + topic + "?nonsense=1", "", "x", false})
	for _, wait := range []string{"", "Prefer: wait=30\r\n"} {
		out = append(out, wireRequest{"task, " + wait, "GET " + task, wait, "", false})
	}
	return append(out, wireRequest{"tasks", "GET /tasks", "", "", false})
}

// afterBytes are how much of a reply a client takes before it goes: nothing, a part of the headers, a part of the body.
var afterBytes = []int{0, 1, 150, 6000}

// hangUpsWhileReading has a client go at every step of every kind of reply.
func hangUpsWhileReading(t *testing.T, url string, requests []wireRequest) {
	t.Helper()
	for _, r := range requests {
		for _, n := range afterBytes {
			if n > 150 && shortReply(r) {
				continue
			}
			if n > 0 && silentReply(r) {
				continue
			}
			for _, way := range hangUps {
				c := dialWire(t, url, r.text())
				readWire(t, c, n)
				if _, err := way.do(c); err != nil {
					t.Errorf("%s, after %d bytes, %s: %v", r.name, n, way.name, err)
				}
			}
		}
	}
}

// shortReply reports whether there is little to read, at least for now.
func shortReply(r wireRequest) bool {
	return strings.HasPrefix(r.name, "task") || strings.HasPrefix(r.name, "202 as") || r.name == "202" || r.name == "error" || strings.HasPrefix(r.name, "tail")
}

// silentReply reports whether nothing at all comes for now.
func silentReply(r wireRequest) bool {
	return strings.HasPrefix(r.name, "tail") && !strings.Contains(r.headers, mediaEvents) && !strings.Contains(r.headers, ndjson)
}

// A client that goes at any step of a reply leaves nothing behind, also of what would have waited for long.
func testClientsGoWhileReading(t *testing.T, b broker, p *proxy) {
	topic, held := harness.CreateTopic(t, b, 1), harness.CreateTopic(t, b, 1)
	storePadded(t, b, topic, 60, 16_000)
	task := accept(t, &p.Endpoint, "/messages/"+held, "x")
	final(t, &p.Endpoint, task)
	requests := answered(topic, task)
	hangUpsWhileReading(t, p.URL, requests)
	before := atRest(t, p.URL)
	hangUpsWhileReading(t, p.URL, requests)
	wantNoMore(t, p.URL, before)
	if b.Fake != nil { // a task that is still pending is waited for in earnest
		release := holdUp(t, b, held)
		r := wireRequest{name: "tail of a task", line: "GET " + accept(t, &p.Endpoint, "/messages/"+held, "x"), headers: "Prefer: wait=30\r\n"}
		hangUpsWhileReading(t, p.URL, slices.Repeat([]wireRequest{r}, 10))
		wantNoMore(t, p.URL, before)
		release()
	}
}

// queueReader takes from a queue whose messages nobody but its client acknowledges.
type queueReader struct {
	messageReader
	group string
	left  []string // the numbers of those that are not acknowledged
}

var ackURL = regexp.MustCompile(`"ack":"([^"]+)"|Kafka-Ack: (\S+)`)

// giveBack releases what a reply has handed out.
func (q *queueReader) giveBack(reply string) {
	q.T.Helper()
	for _, match := range ackURL.FindAllStringSubmatch(reply, -1) {
		u, err := url.Parse(match[1] + match[2])
		if err != nil {
			q.T.Fatal(err)
		}
		u.Path += "/release"
		q.want(204, 0, "POST", u.String())
	}
}

// wantAll takes everything that is not acknowledged, once each, acknowledges the first of it, and gives the rest back.
func (q *queueReader) wantAll(after string) {
	q.T.Helper()
	var got []string
	list := q.receiveN("/"+q.group+"?wait=5&limit=100&ack_timeout=600", len(q.left))
	for _, m := range list {
		got = append(got, number(string(m.Value)))
	}
	if !slices.Equal(sortedNumerals(got), q.left) {
		q.T.Errorf("%s: came again %v, want %v", after, sortedNumerals(got), q.left)
	}
	first := slices.Index(got, q.left[0])
	if first < 0 {
		return
	}
	q.want(204, 0, "DELETE", list[first].Ack)
	q.left = q.left[1:]
	for i, m := range list {
		if i != first {
			q.giveBack(`"ack":"` + m.Ack + `"`)
		}
	}
}

// newQueueReader stores messages for a queue of its own and joins it.
func newQueueReader(t testing.TB, b broker, p *proxy, count, size int) *queueReader {
	t.Helper()
	topic := harness.CreateTopic(t, b, 1)
	storePadded(t, b, topic, count, size)
	q := &queueReader{p.messages(topic), harness.FreshName("g"), numerals(0, count)}
	q.T = t
	q.wantAll("at first")
	return q
}

// What a client was given by a queue and did not take goes to the next one at once, and what was acknowledged to nobody.
func testClientsOfQueuesGo(t *testing.T, b broker, p *proxy) {
	q := newQueueReader(t, b, p, 60, 4000)
	before := atRest(t, p.URL)
	for _, accept := range readForms {
		r := getRequest("queue", "/messages/"+q.topic+"/"+q.group+"?wait=30&limit=100&ack_timeout=600", accept)
		for _, n := range afterBytes {
			if n > 150 && accept == mediaRaw {
				n = 2000
			}
			for _, way := range hangUps {
				c := dialWire(t, p.URL, r.text())
				got := readWire(t, c, n)
				rest, err := way.do(c)
				after := fmt.Sprintf("%s, after %d bytes, %s", r.name, n, way.name)
				if err != nil {
					t.Errorf("%s: %v", after, err)
				}
				if way.name == "FIN" && accept != mediaEvents && accept != ndjson { // it has been taken: its client gives it back
					q.giveBack(string(got) + rest)
				}
				q.wantAll(after)
			}
		}
	}
	wantNoMore(t, p.URL, before)
}

// With ack=auto a reply that could not be written as a whole is not acknowledged.
func testClientsOfAutomaticQueuesGo(t *testing.T, b broker, p *proxy) {
	q := newQueueReader(t, b, p, 40, 200_000)
	before := atRest(t, p.URL)
	for _, accept := range []string{"application/json", mediaParts} {
		r := getRequest("queue", "/messages/"+q.topic+"/"+q.group+"?wait=30&limit=100&max_bytes=16000000&ack=auto", accept)
		c := slowConn(t, p.URL)
		fmt.Fprint(c, r.text())
		if _, err := c.Read(make([]byte, 100)); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil { // there is much that was not read: this is a reset
			t.Error(err)
		}
		q.wantAll(r.name)
	}
	wantNoMore(t, p.URL, before)
	q.get("/" + q.group + "?limit=100&max_bytes=16000000&ack=auto&wait=5")
	if rest := q.get("/" + q.group + "?wait=0"); len(rest.Messages) > 0 {
		t.Errorf("acknowledged, and handed out again: %d messages", len(rest.Messages))
	}
}

// TestMessagesAutomaticLater: with ack=auto nothing is acknowledged before the reply has left. The fault: Kafka does not answer commits.
func TestMessagesAutomaticLater(t *testing.T) {
	for _, accept := range []string{"application/json", mediaRaw, mediaParts} {
		t.Run(accept, func(t *testing.T) {
			t.Parallel()
			testRepliedBeforeCommit(t, accept)
		})
	}
}

func testRepliedBeforeCommit(t *testing.T, accept string) {
	b := harness.FakeBroker(t, 1)
	p := startProxy(t, b, ownTasks())
	q := newQueueReader(t, b, p, 3, 10)
	ctx, release := context.WithCancel(t.Context())
	defer release()
	var commits atomic.Int32
	b.Fake.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		commits.Add(1)
		b.Fake.SleepControl(func() { <-ctx.Done() })
		return nil, nil, false
	})
	r := getRequest("queue", "/messages/"+q.topic+"/"+q.group+"?wait=30&limit=1&ack=auto", accept)
	c := slowConn(t, p.URL)
	if err := c.SetReadDeadline(time.Now().Add(8 * time.Second)); err != nil { // a commit is given up after ten
		t.Fatal(err)
	}
	fmt.Fprint(c, r.text())
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || len(body) == 0 || resp.StatusCode != 200 || resp.ContentLength < 0 {
		t.Errorf("%d %q %v, Content-Length %d", resp.StatusCode, body, err, resp.ContentLength)
	}
	for deadline := time.Now().Add(10 * time.Second); commits.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was committed")
		}
	}
}

// TestMessagesClientsWhileReading runs these against one proxy on each broker.
func TestMessagesClientsWhileReading(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, with(ownTasks(), with(clientLimits, map[string]string{"messages.queue.window.bytes": "16000000"})))
		t.Run("replies", func(t *testing.T) { testClientsGoWhileReading(t, b, p) })
		t.Run("queues", func(t *testing.T) { testClientsOfQueuesGo(t, b, p) })
		t.Run("automatic", func(t *testing.T) { testClientsOfAutomaticQueuesGo(t, b, p) })
	})
}
