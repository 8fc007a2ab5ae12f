package tests

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"kafkarest/tests/harness"

	"github.com/twmb/franz-go/pkg/kgo"
)

// message is one message of a reply of the messages API.
type message struct {
	Topic      string            `json:"topic"`
	Partition  int32             `json:"partition"`
	Offset     int64             `json:"offset"`
	Timestamp  int64             `json:"timestamp"`
	Key        json.RawMessage   `json:"key"`
	Value      json.RawMessage   `json:"value"`
	Headers    []messageHeader   `json:"headers"`
	Encoding   map[string]string `json:"encoding"`
	Ack        string            `json:"ack"`
	Deliveries int               `json:"delivery_count"`
	Deadline   time.Time         `json:"deadline"`
	Error      *messageError     `json:"error"`
}

type messageHeader struct{ Key, Value, Encoding string }

type messageError struct {
	Code    int
	Side    string
	Message string
}

type messageList struct {
	Messages []message `json:"messages"`
	Next     string    `json:"next"`
	Gaps     []struct{ Partition, From, To int64 }
}

// messageReader is a client of the messages API.
type messageReader struct {
	*harness.Endpoint
	topic string
}

func (p *proxy) messages(topic string) messageReader { return messageReader{&p.Endpoint, topic} }

// get reads messages; path is what follows the topic.
func (m messageReader) get(path string) messageList {
	m.T.Helper()
	r := m.Do("GET", "/messages/"+m.topic+path, "")
	if r.Status != 200 {
		m.T.Fatalf("GET %s: %d %s", path, r.Status, r.Body)
	}
	var list messageList
	if err := json.Unmarshal([]byte(r.Body), &list); err != nil {
		m.T.Fatalf("GET %s: %v in %s", path, err, r.Body)
	}
	return list
}

// want sends a request to a URL or a path after the topic, and checks status and error code, 0 for none.
func (m messageReader) want(status, code int, method, path string) {
	m.T.Helper()
	if u, err := url.Parse(path); err == nil && u.IsAbs() {
		path = u.RequestURI()
	} else {
		path = "/messages/" + m.topic + path
	}
	if r := m.Do(method, path, ""); r.Status != status || r.Code() != code {
		m.T.Errorf("%s %s: %d %s, want %d and the code %d", method, path, r.Status, r.Body, status, code)
	}
}

// receiveN receives until there are n messages.
func (m messageReader) receiveN(path string, n int) (all []message) {
	m.T.Helper()
	for deadline := time.Now().Add(30 * time.Second); len(all) < n; {
		if time.Now().After(deadline) {
			m.T.Fatalf("received %d of %d messages within 30 s", len(all), n)
		}
		all = append(all, m.get(path).Messages...)
	}
	return all
}

func (l messageList) values() []string { return messageValues(l.Messages) }

func messageValues(list []message) (out []string) {
	for _, m := range list {
		out = append(out, string(m.Value))
	}
	return out
}

func numerals(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func sortedNumerals(list []string) []string {
	out := slices.Clone(list)
	slices.SortFunc(out, func(x, y string) int { return strings.Compare(fmt.Sprintf("%9s", x), fmt.Sprintf("%9s", y)) })
	return out
}

// storeNumbers stores from..to-1 in the partitions in turn, a second apart by timestamp.
func storeNumbers(t testing.TB, b broker, topic string, partitions, from, to int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(i % partitions), Value: fmt.Append(nil, i), Timestamp: time.Unix(1_700_000_000+int64(i), 0)})
	}
	harness.Store(t, b, records...)
}

// stream is an endless reply, line by line.
type stream struct {
	t      testing.TB
	lines  chan string
	cancel context.CancelFunc
}

// open begins an endless read; headers are pairs.
func (m messageReader) open(path, accept string, headers ...string) *stream {
	m.T.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", m.URL+"/messages/"+m.topic+path, nil)
	if err != nil {
		m.T.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req)
	if err != nil {
		m.T.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != accept {
		m.T.Fatalf("GET %s: %d %s", path, resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	s := &stream{m.T, make(chan string, 1000), cancel}
	go func() {
		defer close(s.lines)
		defer resp.Body.Close()
		scanner := bufio.NewScanner(resp.Body)
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			select {
			case s.lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	m.T.Cleanup(cancel)
	return s
}

// line is the next line that begins so, without that.
func (s *stream) line(prefix string) string {
	s.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case l, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("the stream ended before a line with %q", prefix)
			}
			if rest, ok := strings.CutPrefix(l, prefix); ok {
				return rest
			}
		case <-timeout:
			s.t.Fatalf("no line with %q within 30 s", prefix)
		}
	}
}

// event is the next message of an event stream with its id.
func (s *stream) event() (message, string) {
	s.t.Helper()
	id := s.line("id: ")
	return s.parse(s.line("data: ")), id
}

func (s *stream) parse(text string) (m message) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		s.t.Fatalf("%v in %s", err, text)
	}
	return m
}
