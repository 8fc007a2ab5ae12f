package v3_test

import (
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	v3 "kafkarest/internal/httpapi/v3"
	"kafkarest/internal/kafka"
)

// A broker that has not heard of a new topic yet must not make the reply, or the request that follows it, wrong.
func TestCreateWaitsForEveryBroker(t *testing.T) {
	p, b := onEmbedded(t)
	lags := func(node int32) kfake.Fault {
		return kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Nodes: []int32{node}, Topic: "late", Err: kerr.UnknownTopicOrPartition, Count: 3}
	}
	lag := b.Cluster().Fault(lags(1), lags(2))
	defer lag.Remove()
	p.create(t, `{"topic_name":"late","partitions_count":2}`).is(t, p, http.StatusCreated, sprintTopic("late", 2, 3))
	if got := lag.Hits(); got != 6 {
		t.Errorf("the reply came after %d answers of the brokers that lag, which show the topic after 3 each", got)
	}
	for range 8 {
		p.do(t, "GET", p.path("/topics/late"), nil).wants(t, http.StatusOK)
	}
}

func TestCreateWaitsForTheOnlyBroker(t *testing.T) {
	p, b := onEmbeddedNodes(t, 1)
	lag := b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "late", Err: kerr.UnknownTopicOrPartition, Count: 3})
	defer lag.Remove()
	p.create(t, `{"topic_name":"late"}`).is(t, p, http.StatusCreated, sprintTopic("late", 1, 1))
	if got := lag.Hits(); got != 3 {
		t.Errorf("the reply came after %d answers of the broker, which shows the topic after 3", got)
	}
	p.do(t, "GET", "/topics/late", nil).wants(t, http.StatusOK)
}

// One that never hears of it holds the reply up for a while only: the topic is made, and saying so is right.
func TestCreateDoesNotWaitForEver(t *testing.T) {
	p, b := onEmbedded(t)
	lag := b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Nodes: []int32{2}, Topic: "late",
		Err: kerr.UnknownTopicOrPartition, Count: -1})
	defer lag.Remove()
	start := time.Now()
	p.create(t, `{"topic_name":"late","partitions_count":2}`).is(t, p, http.StatusCreated, sprintTopic("late", 2, 3))
	if took := time.Since(start); took < time.Second || took > 3*time.Second {
		t.Errorf("the reply took %v, want a second for the broker that lags", took)
	}
}

func TestKafkaErrors(t *testing.T) {
	p, b := onEmbedded(t)
	p.create(t, `{"topic_name":"there","partitions_count":1}`)
	topics, topic := p.path("/topics"), p.path("/topics/there")
	const denied = "Not authorized to access topics: "
	for name, c := range map[string]struct {
		key          kmsg.Key
		err          *kerr.Error
		method, path string
		body         any
		code         int
		message      string
	}{
		"create: no answer":      {kmsg.CreateTopics, kerr.RequestTimedOut, "POST", topics, `{"topic_name":"a"}`, 50401, ""},
		"create: not authorized": {kmsg.CreateTopics, kerr.TopicAuthorizationFailed, "POST", topics, `{"topic_name":"b"}`, 40301, denied + "[b]"},
		"create: policy":         {kmsg.CreateTopics, kerr.PolicyViolation, "POST", topics, `{"topic_name":"c"}`, 40002, ""},
		"create: throttled":      {kmsg.CreateTopics, kerr.ThrottlingQuotaExceeded, "POST", topics, `{"topic_name":"d"}`, 42901, ""},
		"delete: switched off":   {kmsg.DeleteTopics, kerr.TopicDeletionDisabled, "DELETE", topic, nil, 40002, ""},
		"delete: not authorized": {kmsg.DeleteTopics, kerr.TopicAuthorizationFailed, "DELETE", topic, nil, 40301, denied + "[there]"},
		"grow: not authorized":   {kmsg.CreatePartitions, kerr.TopicAuthorizationFailed, "PATCH", topic, `{"partitions_count":2}`, 40301, denied + "[there]"},
		"grow: reassigning":      {kmsg.CreatePartitions, kerr.ReassignmentInProgress, "PATCH", topic, `{"partitions_count":2}`, 50002, ""},
		"get: not authorized":    {kmsg.Metadata, kerr.TopicAuthorizationFailed, "GET", topic, nil, 40301, denied + "[there]"},
	} {
		t.Run(name, func(t *testing.T) {
			fault := b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{c.key}, Err: c.err, Count: -1})
			defer fault.Remove()
			p.do(t, c.method, c.path, c.body).fails(t, c.code, c.message)
			if fault.Hits() == 0 {
				t.Error("the fault was not met")
			}
		})
	}
}

// Kafka that cannot be reached is told by the deadline.
func TestNoBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil { // nobody listens there now
		t.Fatal(err)
	}
	const deadline = time.Second
	p := mount(t, v3.Config{}, kafka.Config{Common: []kgo.Opt{kgo.SeedBrokers(addr)}, RequestTimeout: deadline})
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/v3/clusters", nil},
		{"GET", "/v3/clusters/c", nil},
		{"GET", "/v3/clusters/c/topics", nil},
		{"GET", "/v3/clusters/c/topics/t", nil},
		{"POST", "/v3/clusters/c/topics", `{"topic_name":"t"}`},
		{"PATCH", "/v3/clusters/c/topics/t", `{"partitions_count":2}`},
		{"DELETE", "/v3/clusters/c/topics/t", nil},
	} {
		start := time.Now()
		p.do(t, c.method, c.path, c.body).fails(t, 50302, "")
		if took := time.Since(start); took > deadline+500*time.Millisecond {
			t.Errorf("%s %s took %v", c.method, c.path, took)
		}
	}
}
