package tests

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"
)

// sending is a kind of request that stores something. In its body {id} stands for what tells one request from all others.
type sending struct {
	wireRequest
	values []string // that its whole body stores, with {id}
	lines  bool     // a stream: whole lines of it are stored as they come
}

// sendings are the kinds of produce requests of the messages API.
func sendings() []sending {
	const to, parts = "POST /messages/{topic}", "--b\r\nKafka-Key: k\r\n\r\n{id}-0\r\n--b\r\n\r\n{id}-1\r\n--b\r\nContent-Type: a/b\r\n\r\n{id}-2\r\n--b--\r\n"
	const set, async = `{"records":[{"value":"{id}-0"},{"key":"k","value":"{id}-1"},{"value":"{id}-2"}]}`, "Prefer: respond-async\r\n"
	raw := "{id} " + strings.Repeat("x", 3000)
	var lines strings.Builder
	var ofLines, ofSet, ofParts []string
	for n := range 12 {
		fmt.Fprintf(&lines, "\"{id}-%d\"\n", n)
		ofLines = append(ofLines, fmt.Sprintf(`"{id}-%d"`, n))
	}
	for n := range 3 {
		ofSet = append(ofSet, fmt.Sprintf(`"{id}-%d"`, n))
		ofParts = append(ofParts, fmt.Sprintf(`{id}-%d`, n))
	}
	const isSet, isLines, isParts = "Content-Type: " + harness.JSON + "\r\n", "Content-Type: " + ndjson + "\r\n", "Content-Type: multipart/mixed; boundary=b\r\n"
	return []sending{
		{wireRequest{"raw", "PUT /messages/{topic}", "", raw, false}, []string{raw}, false},
		{wireRequest{"raw, chunked", "PUT /messages/{topic}", "", raw, true}, []string{raw}, false},
		{wireRequest{"set", to, isSet, set, false}, ofSet, false},
		{wireRequest{"set, chunked", to, isSet, set, true}, ofSet, false},
		{wireRequest{"set of several topics", "POST /messages", isSet, strings.ReplaceAll(set, `"value"`, `"topic":"{topic}","value"`), false}, ofSet, false},
		{wireRequest{"lines", to, isLines, lines.String(), false}, ofLines, true},
		{wireRequest{"lines, chunked", to, isLines, lines.String(), true}, ofLines, true},
		{wireRequest{"lines as a whole", to, isLines + "Accept: application/json\r\n", lines.String(), true}, ofLines, false},
		{wireRequest{"parts", to, isParts, parts, false}, ofParts, false},
		{wireRequest{"parts, chunked", to, isParts, parts, true}, ofParts, false},
		{wireRequest{"task", to, isSet + async, set, false}, ofSet, false},
		{wireRequest{"task of lines", to, isLines + async, lines.String(), true}, ofLines, false},
		{wireRequest{"task of parts", to, isParts + async, parts, true}, ofParts, false},
	}
}

// of gives the request for a topic, with an id of its own.
func (s sending) of(topic, id string) sending {
	fill := strings.NewReplacer("{topic}", topic, "{id}", id)
	s.line, s.body, s.values = fill.Replace(s.line), fill.Replace(s.body), slices.Clone(s.values)
	for i, v := range s.values {
		s.values[i] = fill.Replace(v)
	}
	return s
}

// attempt is what a client has sent of a request, and heard.
type attempt struct {
	name  string
	of    sending
	cut   wireCut
	reply string
}

// judge says what is wrong with what is stored of an attempt.
func (a *attempt) judge(stored []string) error {
	all, some := a.of.values, len(stored) < len(a.of.values)
	if len(stored) > len(all) || !slices.Equal(stored, all[:len(stored)]) {
		return fmt.Errorf("stored is %.300q, which is not the beginning of what was sent", stored)
	}
	told := strings.Count(a.reply, `"offset":`)
	switch {
	case told > len(stored):
		return fmt.Errorf("%d are told as stored, %d are: %s", told, len(stored), a.reply)
	case a.of.lines:
		if whole := strings.Count(a.cut.sent, "\n"); len(stored) > whole {
			return fmt.Errorf("%d messages are stored of %d whole lines", len(stored), whole)
		}
	case a.cut.name != "whole" && len(stored) > 0:
		return fmt.Errorf("%d messages are stored", len(stored))
	case some && len(stored) > 0:
		return fmt.Errorf("%d of %d messages are stored", len(stored), len(all))
	}
	return nil
}

// judgeLog holds the log of a topic to what was sent.
func judgeLog(t *testing.T, b broker, topic string, attempts []attempt) {
	t.Helper()
	stored := map[string][]string{}
	id := regexp.MustCompile(`id\d+`)
	for _, r := range harness.ReadLog(t, b, topic) {
		of := id.FindString(string(r.Value))
		stored[of] = append(stored[of], string(r.Value))
	}
	for _, a := range attempts {
		of := id.FindString(a.of.values[0])
		if err := a.judge(stored[of]); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
		delete(stored, of)
	}
	if len(stored) > 0 {
		t.Errorf("nobody has sent %.500v", stored)
	}
}

// hangUpsWhileSending has a client go at every step of every kind of produce request. first is the number of the first one.
func hangUpsWhileSending(t *testing.T, p *harness.Endpoint, topic string, first int) (out []attempt) {
	t.Helper()
	for _, kind := range sendings() {
		probe := kind.of(topic, "id")
		for i := range probe.cuts() {
			for _, way := range hangUps {
				request := kind.of(topic, fmt.Sprintf("id%d", first+len(out)))
				cut := request.cuts()[i]
				a := attempt{name: fmt.Sprintf("%s, %s, %s", kind.name, cut.name, way.name), of: request, cut: cut}
				var err error
				if a.reply, err = way.do(dialWire(t, p.URL, cut.text)); err != nil {
					t.Errorf("%s: %v", a.name, err)
				}
				out = append(out, a)
			}
		}
	}
	return out
}

// A client that goes at any step of a produce request has stored nothing of it, but for whole lines of a stream, and leaves nothing behind.
func testClientsGoWhileSending(t *testing.T, b broker, p *proxy) {
	topic := harness.CreateTopic(t, b, 1)
	attempts := hangUpsWhileSending(t, &p.Endpoint, topic, 0) // the proxy's own clients of Kafka are there now
	before := atRest(t, p.URL)
	attempts = append(attempts, hangUpsWhileSending(t, &p.Endpoint, topic, len(attempts))...)
	wantNoMore(t, p.URL, before)
	eventually(t, 20*time.Second, "without pending tasks", func() bool { return strings.Contains(p.Do("GET", "/tasks", "").Body, `"pending":0,`) })
	judgeLog(t, b, topic, attempts)
	for _, kind := range sendings() { // and each serves on
		request := kind.of(topic, "whole")
		c := dialWire(t, p.URL, request.text())
		if reply := string(readWire(t, c, len("HTTP/1.1 20"))); reply != "HTTP/1.1 20" {
			t.Errorf("%s: afterwards: %s", kind.name, reply)
		}
	}
}

// A client that sends a byte now and then is told 408 or cut off, at every step of every kind of request.
func testClientsThatDrip(t *testing.T, b broker, p *proxy) {
	topic := harness.CreateTopic(t, b, 1)
	p.messages(topic).get("/me?wait=0") // the group is joined
	before := atRest(t, p.URL)
	type dripping struct {
		attempt
		conn *net.TCPConn
	}
	var all []dripping
	requests := sendings()
	for _, line := range []string{"DELETE /messages/{topic}/me/0?partition=0", "POST /messages/{topic}/me/0/release?partition=0", "GET /messages/{topic}/-/earliest"} {
		requests = append(requests, sending{wireRequest: wireRequest{name: line, line: line, body: strings.Repeat("x", 1000)}, values: []string{"none"}})
	}
	for _, kind := range requests {
		probe := kind.of(topic, "id")
		for i, cut := range probe.cuts() {
			if cut.name == "whole" || cut.name == "all but the end" {
				continue
			}
			a := attempt{name: kind.name + ", " + cut.name, of: kind.of(topic, fmt.Sprintf("id%d", len(all)))}
			a.cut = a.of.cuts()[i]
			c := dialWire(t, p.URL, a.cut.text)
			rest := a.of.text()[len(a.cut.text):]
			a.cut.sent = a.of.body // some of it, and whole lines only if they have come
			go dripRest(c, rest)
			all = append(all, dripping{a, c})
		}
	}
	var attempts []attempt
	for _, d := range all {
		begun := len(d.cut.text) > len(d.of.head())
		reply, err := readOut(d.conn)
		needsBody := d.of.values[0] != "none"
		if d.reply = reply; err != nil || begun && needsBody && !strings.Contains(reply, "408") || !needsBody && begun && !strings.HasPrefix(reply, "HTTP/1.1 ") {
			t.Errorf("%s: %v, it was told %.300q", d.name, err, reply)
		}
		if needsBody {
			attempts = append(attempts, d.attempt)
		}
		_ = d.conn.Close()
	}
	wantNoMore(t, p.URL, before)
	judgeLog(t, b, topic, attempts)
}

// dripRest sends a byte each 300 ms until it fails.
func dripRest(c net.Conn, rest string) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for i := range len(rest) {
		if _, err := io.WriteString(c, rest[i:i+1]); err != nil {
			return
		}
		<-tick.C
	}
}

// A DELETE or a release of which only a part came has no effect; of one that came wholly it is known what it did.
func testClientsGoWhileAcknowledging(t *testing.T, b broker, p *proxy) {
	topic, group := harness.CreateTopic(t, b, 1), harness.FreshName("g")
	const count = 40
	storeNumbers(t, b, topic, 1, 0, count)
	m := p.messages(topic)
	held := m.receiveN("/"+group+"?limit=40&ack_timeout=600&wait=10", count)
	before := atRest(t, p.URL)
	may, next := map[string]bool{}, 0 // what may be acknowledged or released, by value
	for _, release := range []bool{false, true} {
		for _, body := range []string{"", "xxxxxxxxxx"} {
			probe := wireRequest{body: body}
			for i := range probe.cuts() {
				for _, way := range hangUps {
					u, err := url.Parse(held[next].Ack)
					if err != nil {
						t.Fatal(err)
					}
					r := wireRequest{line: "DELETE " + u.RequestURI(), body: body}
					if release {
						r.line = "POST " + u.Path + "/release?" + u.RawQuery
					}
					cut := r.cuts()[i]
					reply, err := way.do(dialWire(t, p.URL, cut.text))
					if whole := len(cut.text) >= len(r.head()); err != nil || !whole && strings.Contains(reply, "204") {
						t.Errorf("%s, %s, %s: %v %s", r.line, cut.name, way.name, err, reply)
					} else if whole {
						may[string(held[next].Value)] = true
					}
					next++
				}
			}
		}
	}
	wantNoMore(t, p.URL, before)
	for _, again := range m.get("/" + group + "?wait=0&ack_timeout=600&limit=100").Messages { // released
		if !may[string(again.Value)] {
			t.Errorf("message %s was released by nobody", again.Value)
		}
		delete(may, string(again.Value))
	}
	want := slices.DeleteFunc(numerals(0, count), func(v string) bool { return may[v] })
	for n := range count {
		m.want(204, 0, "POST", fmt.Sprintf("/%s/%d/release?partition=0", group, n))
	}
	got := messageValues(m.receiveN("/"+group+"?wait=5&limit=100", len(want)))
	for _, v := range got {
		if may[v] { // it was to be acknowledged, and is not: its client may try again
			want = append(want, v)
		}
	}
	if !slices.Equal(sortedNumerals(got), sortedNumerals(want)) {
		t.Errorf("to be delivered again are %v, and came %v", sortedNumerals(want), sortedNumerals(got))
	}
}

// TestMessagesClientsWhileSending runs these against one proxy on each broker.
func TestMessagesClientsWhileSending(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		p := startProxy(t, b, with(ownTasks(), clientLimits))
		p.Do("GET", "/tasks", "")
		t.Run("acknowledging", func(t *testing.T) { testClientsGoWhileAcknowledging(t, b, p) })
		t.Run("sending", func(t *testing.T) { testClientsGoWhileSending(t, b, p) })
		t.Run("dripping", func(t *testing.T) { testClientsThatDrip(t, b, p) })
	})
}
