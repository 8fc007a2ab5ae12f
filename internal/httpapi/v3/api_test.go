package v3_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	v3 "kafkarest/internal/httpapi/v3"
)

// checks hold on every broker.
var checks = map[string]func(*testing.T, *proxy){
	"clusters":      checkClusters,
	"create":        checkCreate,
	"create errors": checkCreateErrors,
	"validate only": checkValidateOnly,
	"assignments":   checkAssignments,
	"everywhere":    checkEverywhere,
	"directory":     checkDirectory,
	"list":          checkList,
	"get":           checkGet,
	"grow":          checkGrow,
	"delete":        checkDelete,
	"conformance":   checkConformance,
}

func TestOnEmbedded(t *testing.T) {
	p, _ := onEmbedded(t)
	for name, check := range checks {
		t.Run(name, func(t *testing.T) { check(t, p) })
	}
}

func TestOnKafka(t *testing.T) {
	p := onKafka(t)
	for name, check := range checks {
		t.Run(name, func(t *testing.T) { check(t, p) })
	}
}

func checkClusters(t *testing.T, p *proxy) {
	var own struct {
		Controller struct{ Related string }
	}
	got := p.do(t, "GET", p.path(""), nil).wants(t, http.StatusOK)
	got.into(t, &own)
	if !strings.HasPrefix(own.Controller.Related, p.url+p.path("/brokers/")) {
		t.Errorf("the controller is %q", own.Controller.Related)
	}
	const cluster = `{"kind":"KafkaCluster","metadata":{"self":"$U","resource_name":"crn:///kafka=$C"},"cluster_id":"$C",
		"controller":{"related":"%s"},"acls":{"related":"$U/acls"},"brokers":{"related":"$U/brokers"},
		"broker_configs":{"related":"$U/broker-configs"},"consumer_groups":{"related":"$U/consumer-groups"},"topics":{"related":"$U/topics"},
		"partition_reassignments":{"related":"$U/topics/-/partitions/-/reassignment"}}`
	got.is(t, p, http.StatusOK, fmt.Sprintf(cluster, own.Controller.Related))
	list := p.do(t, "GET", "/v3/clusters", nil)
	var inList struct {
		Data []struct{ Controller struct{ Related string } }
	}
	list.into(t, &inList) // Kafka names any broker to clients, and another one each time
	list.is(t, p, http.StatusOK, fmt.Sprintf(`{"kind":"KafkaClusterList","metadata":{"self":"`+p.url+`/v3/clusters","next":null},"data":[`+cluster+`]}`,
		inList.Data[0].Controller.Related))
	p.do(t, "GET", "/v3/clusters/foobar", nil).fails(t, 404, "HTTP 404 Not Found")
}

func TestAuthority(t *testing.T) {
	_, b := onEmbedded(t)
	p := serve(t, v3.Config{Authority: "example.com"}, b.Options())
	got := p.create(t, `{"topic_name":"named","partitions_count":1,"replication_factor":1}`)
	if want := `"resource_name":"crn://example.com/kafka=` + p.id + `/topic=named"`; !strings.Contains(string(got.body), want) {
		t.Errorf("%s lacks %s", got.body, want)
	}
}

const topicBody = `{"kind":"KafkaTopic","metadata":{"self":"$U/topics/%[1]s","resource_name":"crn:///kafka=$C/topic=%[1]s"},"cluster_id":"$C",
	"topic_name":"%[1]s","is_internal":false,"replication_factor":%[3]d,"partitions_count":%[2]d,
	"partitions":{"related":"$U/topics/%[1]s/partitions"},"configs":{"related":"$U/topics/%[1]s/configs"},
	"partition_reassignments":{"related":"$U/topics/%[1]s/partitions/-/reassignment"},"authorized_operations":[]}`

// sprintTopic is the whole body of a topic.
func sprintTopic(name string, partitions, replicas int) string {
	return fmt.Sprintf(topicBody, name, partitions, replicas)
}

func checkCreate(t *testing.T, p *proxy) {
	for name, c := range map[string]struct {
		members              string
		partitions, replicas int
	}{
		"create.counts":   {`"partitions_count":3,"replication_factor":2`, 3, 2},
		"create.defaults": {`"configs":null,"replicas_assignments":{}`, 1, 3},
		"create.minus":    {`"partitions_count":-1,"replication_factor":-1`, 1, 3},
		"create.coerced":  {`"partitions_count":"2","replication_factor":1.9,"validate_only":"false"`, 2, 1},
		"create.configs":  {`"partitions_count":1,"configs":[{"name":"retention.ms","value":1000},{"name":"cleanup.policy","value":"compact"}]`, 1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			want := sprintTopic(name, c.partitions, c.replicas)
			got := p.create(t, `{"topic_name":"`+name+`",`+c.members+`}`)
			got.is(t, p, http.StatusCreated, want)
			if location := got.header.Get("Location"); location != p.url+p.path("/topics/"+name) {
				t.Errorf("Location is %q", location)
			}
			p.do(t, "GET", p.path("/topics/"+name), nil).is(t, p, http.StatusOK, want)
			p.do(t, "GET", "/topics/"+name, nil).wants(t, http.StatusOK)
		})
	}
	configs, err := p.cluster.Admin().DescribeTopicConfigs(t.Context(), "create.configs")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range configs[0].Configs {
		got[c.Key] = c.MaybeValue()
	}
	if got["retention.ms"] != "1000" || got["cleanup.policy"] != "compact" {
		t.Errorf("the configs are %v", got)
	}
}

func checkCreateErrors(t *testing.T, p *proxy) {
	p.create(t, `{"topic_name":"taken"}`)
	const invalid, empty = "Payload error. Invalid topic name.", "Payload error. Request body is empty. Data is required."
	for _, c := range []struct {
		body    any
		code    int
		message string
	}{
		{nil, 42206, empty},
		{"null", 42206, empty},
		{"{}", 400, "Cannot construct instance of `CreateTopicRequest`, problem: Null topicName"},
		{`{"topic_name":null}`, 400, "Cannot construct instance of `CreateTopicRequest`, problem: Null topicName"},
		{`[]`, 400, ""},
		{`{"topic_name":"x"} x`, 400, ""},
		{`{"topic_name":"x","color":1}`, 422, "Unrecognized field: color"},
		{`{"topic_name":""}`, 42206, invalid},
		{`{"topic_name":".."}`, 42206, invalid},
		{`{"topic_name":"a b"}`, 42206, invalid},
		{`{"topic_name":"` + strings.Repeat("x", 250) + `"}`, 42206, invalid},
		{`{"topic_name":"taken"}`, 40002, "Topic 'taken' already exists."},
		{`{"topic_name":"taken","validate_only":true}`, 40002, "Topic 'taken' already exists."},
		{`{"topic_name":"x","partitions_count":0}`, 40002, ""},
		{`{"topic_name":"x","partitions_count":-2}`, 40002, ""},
		{`{"topic_name":"x","partitions_count":"many"}`, 400, ""},
		{`{"topic_name":"x","partitions_count":2147483648}`, 400, ""},
		{`{"topic_name":"x","replication_factor":0}`, 40002, ""},
		{`{"topic_name":"x","replication_factor":-2}`, 40002, ""},
		{`{"topic_name":"x","replication_factor":4}`, 40002, ""},
		{`{"topic_name":"x","replication_factor":32768}`, 400, ""},
		{`{"topic_name":"x","validate_only":"maybe"}`, 400, ""},
		{`{"topic_name":"x","configs":[{"name":"retention.ms","value":null}]}`, 40002, "Null value not supported for topic configs: retention.ms"},
		{`{"topic_name":"x","configs":[{"name":"retention.ms"}]}`, 40002, "Null value not supported for topic configs: retention.ms"},
		{`{"topic_name":"x","configs":[{"value":"1"}]}`, 400, ""},
		{`{"topic_name":"x","configs":[null]}`, 400, ""},
		{`{"topic_name":"x","configs":[{"name":"a","value":"1"},{"name":"a","value":"2"}]}`, 400, ""},
		{`{"topic_name":"x","replicas_assignments":{"one":[1]}}`, 400, ""},
		{`{"topic_name":"x","replicas_assignments":{"0":[null]}}`, 400, ""},
		{`{"topic_name":"x","replicas_assignments":{"0":[1],"00":[2]}}`, 400, ""},
		{`{"topic_name":"x","replicas_assignments":{"0":[1],"2":[1]}}`, 50002, ""},
	} {
		p.do(t, "POST", p.path("/topics"), c.body).fails(t, c.code, c.message)
	}
	if p.real {
		p.do(t, "POST", p.path("/topics"), `{"topic_name":"x","replicas_assignments":{"0":[9]}}`).fails(t, 50002,
			"The manual partition assignment includes broker 9, but no such broker is registered.")
	}
	p.do(t, "POST", "/v3/clusters/foobar/topics", `{"topic_name":"x"}`).fails(t, 404, "Cluster foobar cannot be found.")
	p.do(t, "POST", "/v3/clusters/foobar/topics", nil).fails(t, 42206, empty)
	p.do(t, "GET", p.path("/topics/x"), nil).fails(t, 40403, "This server does not host this topic-partition.")
}

func checkValidateOnly(t *testing.T, p *proxy) {
	got := p.do(t, "POST", p.path("/topics"), `{"topic_name":"maybe","partitions_count":2,"validate_only":true}`)
	got.is(t, p, http.StatusOK, sprintTopic("maybe", 2, 3))
	if location := got.header.Get("Location"); location != p.url+p.path("/topics/maybe") {
		t.Errorf("Location is %q", location)
	}
	p.do(t, "GET", p.path("/topics/maybe"), nil).fails(t, 40403, "")
}

func checkAssignments(t *testing.T, p *proxy) {
	brokers, err := p.cluster.Admin().ListBrokers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := brokers.NodeIDs()
	// embedded brokers give the leader's neighbours as its followers, whatever was asked for
	body := map[string]any{"topic_name": "placed", "partitions_count": 7, "replication_factor": 1,
		"replicas_assignments": map[string][]int32{"0": {ids[0], ids[1]}, "1": {ids[1], ids[2]}}}
	p.do(t, "POST", p.path("/topics"), body).is(t, p, http.StatusCreated, sprintTopic("placed", 2, 2))
	topics, err := p.cluster.Admin().ListTopics(t.Context(), "placed")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := topics["placed"].Partitions[1].Replicas, []int32{ids[1], ids[2]}; p.real && !slices.Equal(got, want) {
		t.Errorf("the replicas of partition 1 are on %v, want %v", got, want)
	}
}

// checkEverywhere asks every broker, past the proxy, right after each change.
func checkEverywhere(t *testing.T, p *proxy) {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.DisableClientMetrics()}, p.options...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	brokers := client.DiscoveredBrokers()
	if len(brokers) != 3 {
		t.Fatalf("%d brokers, want 3", len(brokers))
	}
	expect := func(topic string, want int) {
		t.Helper()
		for i, b := range brokers {
			req := kmsg.NewPtrMetadataRequest()
			rt := kmsg.NewMetadataRequestTopic()
			rt.Topic = new(topic)
			req.Topics = append(req.Topics, rt)
			resp, err := b.Request(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.(*kmsg.MetadataResponse).Topics[0]; len(got.Partitions) != want {
				t.Errorf("broker %d shows %d partitions of %s, want %d (%v)", i, len(got.Partitions), topic, want, kerr.ErrorForCode(got.ErrorCode))
			}
		}
	}
	for i := range 5 {
		topic := fmt.Sprintf("everywhere-%d", i)
		p.create(t, `{"topic_name":"`+topic+`","partitions_count":1}`)
		expect(topic, 1)
		p.do(t, "PATCH", p.path("/topics/"+topic), `{"partitions_count":4}`).wants(t, http.StatusOK)
		expect(topic, 4)
		p.do(t, "DELETE", p.path("/topics/"+topic), nil).wants(t, http.StatusNoContent)
		expect(topic, 0)
	}
}

// checkDirectory is what a producer does that was too early: its second try must not be told that the topic does not exist.
func checkDirectory(t *testing.T, p *proxy) {
	if n, err := p.cluster.Topics().Partitions(t.Context(), "awaited"); err == nil {
		t.Fatalf("an unknown topic has %d partitions", n)
	}
	p.do(t, "GET", p.path("/topics/awaited"), nil).fails(t, 40403, "")
	p.create(t, `{"topic_name":"awaited","partitions_count":2}`)
	p.do(t, "GET", "/topics/awaited", nil).wants(t, http.StatusOK)
	if n, err := p.cluster.Topics().Partitions(t.Context(), "awaited"); err != nil || n != 2 {
		t.Fatalf("the new topic has %d partitions, %v", n, err)
	}
}

func checkList(t *testing.T, p *proxy) {
	p.create(t, `{"topic_name":"list-b","partitions_count":1}`)
	names := func(query string) (names []string, operations []string) {
		var got struct {
			Kind     string
			Metadata map[string]any
			Data     []struct {
				Name       string   `json:"topic_name"`
				Operations []string `json:"authorized_operations"`
			}
		}
		p.do(t, "GET", p.path("/topics"+query), nil).wants(t, http.StatusOK).into(t, &got)
		if next, ok := got.Metadata["next"]; got.Kind != "KafkaTopicList" || got.Metadata["self"] != p.url+p.path("/topics") || next != nil || !ok {
			t.Errorf("the list is %s %v", got.Kind, got.Metadata)
		}
		for _, d := range got.Data {
			names = append(names, d.Name)
			if d.Operations == nil {
				t.Errorf("the operations of %s are null", d.Name)
			}
			operations = d.Operations
		}
		return names, operations
	}
	names("")
	p.create(t, `{"topic_name":"list-a","partitions_count":1}`)
	p.do(t, "GET", "/topics/list-missing", nil).wants(t, http.StatusNotFound)
	got, operations := names("")
	if !slices.IsSorted(got) || !slices.Contains(got, "list-a") || !slices.Contains(got, "list-b") || slices.Contains(got, "list-missing") {
		t.Errorf("the topics are %v", got)
	}
	if len(operations) > 0 {
		t.Errorf("%v were not asked for", operations)
	}
	p.do(t, "DELETE", p.path("/topics/list-a"), nil).wants(t, http.StatusNoContent)
	if got, _ := names(""); slices.Contains(got, "list-a") {
		t.Errorf("%v has a deleted topic", got)
	}
	if _, operations := names("?includeAuthorizedOperations=true"); !slices.Contains(operations, "DESCRIBE_CONFIGS") {
		t.Errorf("the operations are %v", operations)
	}
	p.do(t, "GET", "/v3/clusters/foobar/topics", nil).fails(t, 404, "Cluster foobar cannot be found.")
}

func checkGet(t *testing.T, p *proxy) {
	p.create(t, `{"topic_name":"get","partitions_count":1}`)
	var got struct {
		Operations []string `json:"authorized_operations"`
	}
	p.do(t, "GET", p.path("/topics/get?include_authorized_operations=true"), nil).wants(t, http.StatusOK).into(t, &got)
	if !slices.Contains(got.Operations, "READ") || !slices.Contains(got.Operations, "DESCRIBE_CONFIGS") {
		t.Errorf("the operations are %v", got.Operations)
	}
	p.do(t, "GET", p.path("/topics/get-missing"), nil).fails(t, 40403, "This server does not host this topic-partition.")
	p.do(t, "GET", p.path("/topics/a%20b"), nil).fails(t, 40002, "The request attempted to perform an operation on an invalid topic.")
	p.do(t, "GET", "/v3/clusters/foobar/topics/get", nil).fails(t, 404, "Cluster foobar cannot be found.")
	p.do(t, "GET", "/v3/clusters/foobar/topics/a%20b", nil).fails(t, 404, "Cluster foobar cannot be found.")
}

func checkGrow(t *testing.T, p *proxy) {
	p.create(t, `{"topic_name":"grow","partitions_count":2}`)
	path := p.path("/topics/grow")
	for _, c := range []struct {
		path    string
		body    any
		code    int
		message string
	}{
		{path, nil, 42206, "Payload error. Request body is empty. Partitions_count is required."},
		{path, "null", 42206, "Payload error. Request body is empty. Partitions_count is required."},
		{path, `{}`, 400, ""},
		{path, `{"partitions_count":null}`, 400, ""},
		{path, `{"partitions_count":"x"}`, 400, ""},
		{path, `{"partitions_count":4294967299}`, 400, ""},
		{path, `{"partitions":3}`, 422, "Unrecognized field: partitions"},
		{path, `{"partitions_count":1}`, 40002, ""},
		{path, `{"partitions_count":2}`, 40002, ""},
		{path, `{"partitions_count":-1}`, 40002, ""},
		{p.path("/topics/grow-missing"), `{"partitions_count":3}`, 40403, "This server does not host this topic-partition."},
		{p.path("/topics/a%20b"), `{"partitions_count":3}`, 40403, "This server does not host this topic-partition."},
		{"/v3/clusters/foobar/topics/grow-missing", `{"partitions_count":3}`, 40403, "This server does not host this topic-partition."},
		{"/v3/clusters/foobar/topics/grow", `{"partitions_count":3}`, 404, "Cluster foobar cannot be found."},
	} {
		p.do(t, "PATCH", c.path, c.body).fails(t, c.code, c.message)
	}
	if got := p.count(t, "grow"); got != 2 {
		t.Fatalf("refused requests have left %d partitions of 2", got)
	}
	p.do(t, "PATCH", path, `{"partitions_count":"5"}`).is(t, p, http.StatusOK, sprintTopic("grow", 5, 3))
	if got := p.count(t, "grow"); got != 5 {
		t.Fatalf("%d partitions, want 5", got)
	}
}

func checkDelete(t *testing.T, p *proxy) {
	p.create(t, `{"topic_name":"gone","partitions_count":1}`)
	p.do(t, "DELETE", "/v3/clusters/foobar/topics/gone", nil).fails(t, 404, "Cluster foobar cannot be found.")
	p.do(t, "GET", p.path("/topics/gone"), nil).wants(t, http.StatusOK)
	start := time.Now()
	if got := p.do(t, "DELETE", p.path("/topics/gone"), nil).wants(t, http.StatusNoContent); len(got.body) > 0 {
		t.Errorf("the body is %q", got.body)
	}
	t.Logf("deleted after %v", time.Since(start))
	p.do(t, "GET", p.path("/topics/gone"), nil).fails(t, 40403, "This server does not host this topic-partition.")
	p.do(t, "GET", "/topics/gone", nil).fails(t, 40403, "This server does not host this topic-partition.")
	p.do(t, "DELETE", p.path("/topics/gone"), nil).fails(t, 40403, "This server does not host this topic-partition.")
	p.create(t, `{"topic_name":"gone","partitions_count":2}`)
	if got := p.count(t, "gone"); got != 2 {
		t.Errorf("made again with %d partitions, want 2", got)
	}
}
