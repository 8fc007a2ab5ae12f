package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The media types of the v2 API.
const (
	V2     = "application/vnd.kafka.v2+json"
	JSON   = "application/vnd.kafka.json.v2+json"
	Binary = "application/vnd.kafka.binary.v2+json"
	Text   = "application/vnd.kafka.text.v2+json"
)

// Endpoint is a proxy as its clients see it.
type Endpoint struct {
	T   testing.TB
	URL string
}

// Reply is what a request got.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Code is the error_code of the body, 0 if there is none.
func (r Reply) Code() int {
	var body struct {
		Code int `json:"error_code"`
	}
	_ = json.Unmarshal([]byte(r.Body), &body)
	return body.Code
}

// Client sends every request that a test does not send by hand.
var Client = &http.Client{Timeout: 90 * time.Second, Transport: &http.Transport{
	DisableCompression: true, MaxIdleConnsPerHost: 64, ExpectContinueTimeout: 5 * time.Second,
}}

// Do sends a request and fails the test when there is no reply. Headers are pairs of name and value.
func (p *Endpoint) Do(method, path, body string, headers ...string) Reply {
	p.T.Helper()
	r, err := p.Try(context.Background(), method, path, body, headers...)
	if err != nil {
		p.T.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// Try sends a request.
func (p *Endpoint) Try(ctx context.Context, method, path, body string, headers ...string) (Reply, error) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.URL+path, reader)
	if err != nil {
		return Reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := Client.Do(req)
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return Reply{resp.StatusCode, resp.Header, string(data)}, err
}

// Outcome is what a produce reply says of one record.
type Outcome struct {
	Partition *int32  `json:"partition"`
	Offset    *int64  `json:"offset"`
	Code      *int    `json:"error_code"`
	Error     *string `json:"error"`
}

// Outcomes reads a produce reply; nil when it is an error for the whole request.
func (r Reply) Outcomes() []Outcome {
	var body struct {
		Offsets []Outcome `json:"offsets"`
	}
	_ = json.Unmarshal([]byte(r.Body), &body)
	return body.Offsets
}

// Produce sends records and wants 200 with every record stored.
func (p *Endpoint) Produce(topic, contentType, body string) Reply {
	p.T.Helper()
	r := p.Do("POST", "/topics/"+topic, body, "Content-Type", contentType)
	if r.Status != 200 || len(r.Outcomes()) == 0 || strings.Contains(r.Body, `"offset":null`) {
		p.T.Fatalf("produce to %s: %d %s", topic, r.Status, r.Body)
	}
	return r
}

// Record is a record of a read's reply; numbers in Key and Value are json.Number.
type Record struct {
	Topic     string    `json:"topic"`
	Key       any       `json:"key"`
	Value     any       `json:"value"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Timestamp *int64    `json:"timestamp"`
	Headers   *[]Header `json:"headers"`
	Error     string    `json:"error"`
	RawValue  *string   `json:"raw_value"`
}

// Header is a record header of a reply.
type Header struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// Records reads the JSON array of a reply.
func Records(t testing.TB, r Reply) []Record {
	t.Helper()
	if r.Status != 200 {
		t.Fatalf("read: %d %s", r.Status, r.Body)
	}
	list, err := r.Records()
	if err != nil {
		t.Fatalf("read: %v in %s", err, r.Body)
	}
	return list
}

// Records reads the JSON array of a reply.
func (r Reply) Records() ([]Record, error) {
	var list []Record
	d := json.NewDecoder(bytes.NewReader([]byte(r.Body)))
	d.UseNumber()
	err := d.Decode(&list)
	return list, err
}

// Instance creates a consumer instance and gives its path.
func (p *Endpoint) Instance(group, settings string) string {
	p.T.Helper()
	r := p.Do("POST", "/consumers/"+group, settings, "Content-Type", V2)
	var created struct {
		ID string `json:"instance_id"`
	}
	if r.Status != 200 || json.Unmarshal([]byte(r.Body), &created) != nil {
		p.T.Fatalf("create an instance: %d %s", r.Status, r.Body)
	}
	return "/consumers/" + group + "/instances/" + created.ID
}

// Reader is an instance of a group of its own, for one format, which begins at the start of the topics.
func (p *Endpoint) Reader(format string, topics ...string) string {
	p.T.Helper()
	i := p.Instance(FreshName("g"), fmt.Sprintf(`{"format":%q,"auto.offset.reset":"earliest"}`, format))
	p.Subscribe(i, topics...)
	return i
}

// Subscribe subscribes an instance to topics.
func (p *Endpoint) Subscribe(instance string, topics ...string) {
	p.T.Helper()
	body, _ := json.Marshal(map[string]any{"topics": topics})
	p.Want(204, "POST", instance+"/subscription", string(body))
}

// Want sends a request with a v2 body and fails the test when the reply has another status.
func (p *Endpoint) Want(status int, method, path, body string) Reply {
	p.T.Helper()
	r := p.Do(method, path, body, "Content-Type", V2)
	if r.Status != status {
		p.T.Fatalf("%s %s: %d %s, want %d", method, path, r.Status, r.Body, status)
	}
	return r
}

// Read is one read.
func (p *Endpoint) Read(instance, accept, query string) Reply {
	p.T.Helper()
	return p.Do("GET", instance+"/records"+query, "", "Accept", accept)
}

// ReadSome reads until there is something, for at most 30 s.
func (p *Endpoint) ReadSome(instance, accept, query string) []Record {
	p.T.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if list := Records(p.T, p.Read(instance, accept, query)); len(list) > 0 {
			return list
		}
	}
	p.T.Fatal("nothing to read within 30 s")
	return nil
}

// ReadN reads until there are n records or more, for at most 30 s.
func (p *Endpoint) ReadN(instance, accept, query string, n int) []Record {
	p.T.Helper()
	var all []Record
	for deadline := time.Now().Add(30 * time.Second); len(all) < n; {
		if time.Now().After(deadline) {
			p.T.Fatalf("read %d of %d records within 30 s", len(all), n)
		}
		all = append(all, Records(p.T, p.Read(instance, accept, query))...)
	}
	return all
}
