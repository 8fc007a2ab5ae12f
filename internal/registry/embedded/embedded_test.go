package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canonical stands for the real one, which lies in another room: JSON without white space, and "bad" is no schema.
func canonical(_ context.Context, typ sr.SchemaType, text string, names, _ []string) (string, string, error) {
	if strings.Contains(text, "bad") {
		return "", "", errors.New("it is bad")
	}
	if strings.Contains(text, "needs-ref") && len(names) == 0 {
		return "", "", errors.New("a reference is missing")
	}
	if typ == sr.TypeProtobuf {
		return text, strings.Join(strings.Fields(text), " "), nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return "", "", err
	}
	out, err := json.Marshal(v)
	return string(out), string(out), err
}

// broker starts a broker with its data in dir, or in memory.
func broker(t *testing.T, dir string) (opts []kgo.Opt, stop func()) {
	t.Helper()
	o := []kfake.Opt{kfake.NumBrokers(1)}
	if dir != "" {
		o = append(o, kfake.DataDir(dir))
	}
	c, err := kfake.NewCluster(o...)
	if err != nil {
		t.Fatal(err)
	}
	return []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}, c.Close
}

// api is a running registry and its address.
type api struct {
	t   *testing.T
	url string
	r   *Registry
}

func start(t *testing.T, kafka []kgo.Opt) (*api, func()) {
	t.Helper()
	r, err := New(Config{Kafka: kafka, Canonical: canonical})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(r.Handler())
	return &api{t, s.URL, r}, func() {
		s.Close()
		r.Close()
	}
}

func newAPI(t *testing.T) *api {
	t.Helper()
	kafka, stop := broker(t, "")
	t.Cleanup(stop)
	a, end := start(t, kafka)
	t.Cleanup(end)
	return a
}

func (a *api) do(method, path, body string) (int, string) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != mediaType {
		a.t.Errorf("%s %s: Content-Type %s", method, path, got)
	}
	return resp.StatusCode, string(data)
}

// want holds a reply, compared as JSON.
func (a *api) want(method, path, body string, status int, reply string) {
	a.t.Helper()
	gotStatus, got := a.do(method, path, body)
	if gotStatus != status || !sameJSON(got, reply) {
		a.t.Errorf("%s %s %s\n got %d %s\nwant %d %s", method, path, body, gotStatus, got, status, reply)
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

func schemaBody(schema string) string {
	text, _ := json.Marshal(schema)
	return fmt.Sprintf(`{"schema":%s}`, text)
}

func (a *api) register(subject, schema string, id int) {
	a.t.Helper()
	a.want("POST", "/subjects/"+subject+"/versions", schemaBody(schema), 200, fmt.Sprintf(`{"id":%d}`, id))
}

const (
	userV1   = `{"type":"record","name":"User","fields":[{"name":"name","type":"string"}]}`
	userV2   = `{"type":"record","name":"User","fields":[{"name":"name","type":"string"},{"name":"age","type":"int","default":0}]}`
	userMust = `{"type":"record","name":"User","fields":[{"name":"name","type":"string"},{"name":"age","type":"int"}]}`
	userLess = `{"type":"record","name":"User","fields":[]}`
)

func TestRegisterAndRead(t *testing.T) {
	a := newAPI(t)
	a.want("GET", "/", "", 200, `{}`)
	a.want("GET", "/subjects", "", 200, `[]`)
	a.want("GET", "/schemas/types", "", 200, `["JSON","PROTOBUF","AVRO"]`)
	a.register("t-value", `"int"`, 1)
	a.register("t-value", ` "int" `, 1)
	a.register("u-value", `"int"`, 1)
	a.register("t%2Fx", `"string"`, 2)
	a.want("GET", "/schemas/ids/1", "", 200, `{"schema":"\"int\""}`)
	a.want("GET", "/schemas/ids/1?fetchMaxId=true", "", 200, `{"schema":"\"int\"","maxId":2}`)
	a.want("GET", "/schemas/ids/1/schema", "", 200, `"int"`)
	a.want("GET", "/schemas/ids/1/subjects", "", 200, `["t-value","u-value"]`)
	a.want("GET", "/schemas/ids/1/versions", "", 200, `[{"subject":"t-value","version":1},{"subject":"u-value","version":1}]`)
	a.want("GET", "/schemas/ids/9", "", 404, `{"error_code":40403,"message":"Schema 9 not found"}`)
	a.want("GET", "/subjects", "", 200, `["t-value","t/x","u-value"]`)
	a.want("GET", "/subjects?subjectPrefix=t", "", 200, `["t-value","t/x"]`)
	a.want("GET", "/subjects/t-value/versions", "", 200, `[1]`)
	for _, v := range []string{"1", "latest", "-1"} {
		a.want("GET", "/subjects/t-value/versions/"+v, "", 200, `{"subject":"t-value","version":1,"id":1,"schema":"\"int\""}`)
	}
	a.want("GET", "/subjects/t-value/versions/1/schema", "", 200, `"int"`)
	a.want("GET", "/subjects/t-value/versions/2", "", 404, `{"error_code":40402,"message":"Version 2 not found."}`)
	a.want("GET", "/subjects/x/versions", "", 404, `{"error_code":40401,"message":"Subject 'x' not found."}`)
	a.want("GET", "/subjects/x/versions/1", "", 404, `{"error_code":40401,"message":"Subject 'x' not found."}`)
	a.want("GET", "/subjects/t-value/versions/zero", "", 422, `{"error_code":42202,"message":"The specified version 'zero' is not a valid version id. `+
		`Allowed values are between [1, 2^31-1] and the string \"latest\""}`)
	a.want("GET", "/schemas?latestOnly=true&subjectPrefix=u", "", 200, `[{"subject":"u-value","version":1,"id":1,"schema":"\"int\""}]`)
	a.want("GET", "/nowhere", "", 404, `{"error_code":404,"message":"HTTP 404 Not Found"}`)
}

func TestLookup(t *testing.T) {
	a := newAPI(t)
	a.register("s", `{"type": "int"}`, 1)
	a.want("POST", "/subjects/s", schemaBody(`{"type":"int"}`), 200, `{"subject":"s","version":1,"id":1,"schema":"{\"type\":\"int\"}"}`)
	a.want("POST", "/subjects/s", schemaBody(`"string"`), 404, `{"error_code":40403,"message":"Schema not found"}`)
	a.want("POST", "/subjects/x", schemaBody(`"string"`), 404, `{"error_code":40401,"message":"Subject 'x' not found."}`)
}

func TestBadRequests(t *testing.T) {
	a := newAPI(t)
	a.want("POST", "/subjects/s/versions", schemaBody(""), 422, `{"error_code":42201,"message":"Empty schema"}`)
	if status, body := a.do("POST", "/subjects/s/versions", schemaBody(`"bad"`)); status != 422 || !strings.Contains(body, `"error_code":42201,"message":"Invalid schema`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := a.do("POST", "/subjects/s/versions", `{"schema":"\"int\"","references":[{"name":"n","subject":"no","version":1}]}`); status != 422 ||
		!strings.Contains(body, `No schema reference found for subject \"no\" and version 1`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := a.do("POST", "/subjects/s/versions", `{`); status != 400 {
		t.Errorf("malformed: %d", status)
	}
	if status, body := a.do("POST", "/subjects/s/versions", schemaBody(`"`+strings.Repeat("x", maxBody)+`"`)); status != 422 || !strings.Contains(body, "42209") {
		t.Errorf("large: %d %s", status, body)
	}
	if status, _ := a.do("POST", "/subjects/s/versions", `{"schema":"\"int\"","schemaType":"XML"}`); status != 400 {
		t.Errorf("unknown type: %d", status)
	}
	for name, header := range map[string][2]string{
		"foreign page": {"Sec-Fetch-Site", "cross-site"}, "simple form": {"Content-Type", "text/plain"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", a.url+"/subjects/s/versions", strings.NewReader(schemaBody(`"int"`)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", mediaType)
		req.Header.Set(header[0], header[1])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 403 && resp.StatusCode != 415 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	a.want("GET", "/subjects", "", 200, `[]`)
}

func TestCompatibility(t *testing.T) {
	for _, tt := range []struct {
		level, next string
		ok          bool
	}{
		{"BACKWARD", userV2, true}, {"BACKWARD", userMust, false}, {"BACKWARD", userLess, true}, {"BACKWARD", `"int"`, false},
		{"FORWARD", userV2, true}, {"FORWARD", userMust, true}, {"FORWARD", userLess, false},
		{"FULL", userV2, true}, {"FULL", userMust, false}, {"FULL", userLess, false},
		{"NONE", `"int"`, true},
	} {
		t.Run(tt.level, func(t *testing.T) {
			a := newAPI(t)
			a.register("s", userV1, 1)
			a.want("PUT", "/config/s", `{"compatibility":"`+strings.ToLower(tt.level)+`"}`, 200, `{"compatibility":"`+tt.level+`"}`)
			a.want("POST", "/compatibility/subjects/s/versions/latest", schemaBody(tt.next), 200, fmt.Sprintf(`{"is_compatible":%v}`, tt.ok))
			status, body := a.do("POST", "/subjects/s/versions", schemaBody(tt.next))
			if tt.ok && status != 200 || !tt.ok && (status != 409 || !strings.Contains(body, `"error_code":409,"message":"Schema being registered is incompatible`)) {
				t.Errorf("%s after v1: %d %s", tt.next, status, body)
			}
			if _, verbose := a.do("POST", "/compatibility/subjects/s/versions/1?verbose=true", schemaBody(tt.next)); tt.ok == strings.Contains(verbose, "schema cannot read") {
				t.Errorf("verbose: %s", verbose)
			}
		})
	}
}

// TestTransitive removes a field that has a default and adds it with another type: each step is compatible, both together are not.
func TestTransitive(t *testing.T) {
	const third = `{"type":"record","name":"User","fields":[{"name":"name","type":"int","default":0}]}`
	for level, ok := range map[string]bool{"BACKWARD": true, "BACKWARD_TRANSITIVE": false} {
		a := newAPI(t)
		a.want("PUT", "/config", `{"compatibility":"`+level+`"}`, 200, `{"compatibility":"`+level+`"}`)
		a.register("s", userV1, 1)
		a.register("s", userLess, 2)
		a.want("POST", "/compatibility/subjects/s/versions", schemaBody(third), 200, fmt.Sprintf(`{"is_compatible":%v}`, ok))
		if status, body := a.do("POST", "/subjects/s/versions", schemaBody(third)); (status == 200) != ok {
			t.Errorf("%s: %d %s", level, status, body)
		}
	}
}

// TestUnchecked holds that what is not checked is said to be so.
func TestUnchecked(t *testing.T) {
	a := newAPI(t)
	proto := func(s string) string {
		text, _ := json.Marshal(s)
		return fmt.Sprintf(`{"schemaType":"PROTOBUF","schema":%s}`, text)
	}
	a.want("POST", "/subjects/p/versions", proto("message A { }"), 200, `{"id":1}`)
	a.want("POST", "/subjects/p/versions", proto("message  A {\n}"), 200, `{"id":1}`)
	a.want("POST", "/compatibility/subjects/p/versions/latest?verbose=true", proto("message B {}"), 200,
		`{"is_compatible":true,"messages":["compatibility of PROTOBUF schemas is not checked by this registry"]}`)
	a.want("GET", "/schemas/ids/1", "", 200, `{"schemaType":"PROTOBUF","schema":"message A { }"}`)
	if status, body := a.do("POST", "/subjects/p/versions", schemaBody(`"int"`)); status != 409 || !strings.Contains(body, "schema type AVRO differs from PROTOBUF") {
		t.Errorf("%d %s", status, body)
	}
}

func TestReferences(t *testing.T) {
	a := newAPI(t)
	a.register("user", userV1, 1)
	order := `{"schema":"{\"type\":\"record\",\"name\":\"Order\",\"doc\":\"needs-ref\",\"fields\":[{\"name\":\"u\",\"type\":\"User\"}]}","references":[{"name":"User","subject":"user","version":1}]}`
	a.want("POST", "/subjects/order/versions", order, 200, `{"id":2}`)
	a.want("POST", "/subjects/order", order, 200, `{"subject":"order","version":1,"id":2,"references":[{"name":"User","subject":"user","version":1}],`+
		`"schema":"{\"doc\":\"needs-ref\",\"fields\":[{\"name\":\"u\",\"type\":\"User\"}],\"name\":\"Order\",\"type\":\"record\"}"}`)
	a.want("POST", "/compatibility/subjects/order/versions/latest", order, 200, `{"is_compatible":true}`)
	a.want("GET", "/subjects/user/versions/1/referencedby", "", 200, `[2]`)
	inUse := `{"error_code":42206,"message":"One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=user,version=1}."}`
	a.want("DELETE", "/subjects/user/versions/1", "", 422, inUse)
	a.want("DELETE", "/subjects/user", "", 422, inUse)
	a.want("DELETE", "/subjects/order", "", 200, `[1]`)
	a.want("DELETE", "/subjects/user", "", 200, `[1]`)
}

func TestDelete(t *testing.T) {
	a := newAPI(t)
	a.register("s", userV1, 1)
	a.register("s", userV2, 2)
	a.want("DELETE", "/subjects/s?permanent=true", "", 404, `{"error_code":40405,"message":"Subject 's' was not deleted first before being permanently deleted"}`)
	a.want("DELETE", "/subjects/s/versions/1?permanent=true", "", 404,
		`{"error_code":40407,"message":"Subject 's' Version 1 was not deleted first before being permanently deleted"}`)
	a.want("DELETE", "/subjects/s/versions/1", "", 200, `1`)
	a.want("DELETE", "/subjects/s/versions/1", "", 404,
		`{"error_code":40406,"message":"Subject 's' Version 1 was soft deleted.Set permanent=true to delete permanently"}`)
	a.want("GET", "/subjects/s/versions", "", 200, `[2]`)
	a.want("GET", "/subjects/s/versions?deleted=true", "", 200, `[1,2]`)
	a.want("GET", "/subjects/s/versions/1", "", 404, `{"error_code":40402,"message":"Version 1 not found."}`)
	a.want("GET", "/schemas/ids/1/versions", "", 200, `[]`)
	if status, _ := a.do("GET", "/schemas/ids/1", ""); status != 200 {
		t.Errorf("a softly deleted schema is not found by its id: %d", status)
	}
	a.want("DELETE", "/subjects/s", "", 200, `[2]`)
	a.want("DELETE", "/subjects/s", "", 404, `{"error_code":40404,"message":"Subject 's' was soft deleted.Set permanent=true to delete permanently"}`)
	a.want("GET", "/subjects", "", 200, `[]`)
	a.want("GET", "/subjects?deleted=true", "", 200, `["s"]`)
	a.want("DELETE", "/subjects/none", "", 404, `{"error_code":40401,"message":"Subject 'none' not found."}`)
	a.register("s", userV2, 2) // as a new version of the old id
	a.want("GET", "/subjects/s/versions", "", 200, `[3]`)
	a.want("DELETE", "/subjects/s/versions/latest", "", 200, `3`)
	a.want("DELETE", "/subjects/s?permanent=true", "", 200, `[1,2,3]`)
	a.want("GET", "/schemas/ids/2", "", 404, `{"error_code":40403,"message":"Schema 2 not found"}`)
	a.register("s", userV1, 3) // no id is given twice
	a.want("GET", "/subjects/s/versions", "", 200, `[1]`)
}

func TestConfigAndMode(t *testing.T) {
	a := newAPI(t)
	a.want("GET", "/config", "", 200, `{"compatibilityLevel":"BACKWARD"}`)
	a.want("GET", "/config/s", "", 404, `{"error_code":40408,"message":"Subject 's' does not have subject-level compatibility configured"}`)
	a.want("GET", "/config/s?defaultToGlobal=true", "", 200, `{"compatibilityLevel":"BACKWARD"}`)
	a.want("PUT", "/config/s", `{"compatibility":"FULL_TRANSITIVE"}`, 200, `{"compatibility":"FULL_TRANSITIVE"}`)
	a.want("GET", "/config/s", "", 200, `{"compatibilityLevel":"FULL_TRANSITIVE"}`)
	a.want("DELETE", "/config/s", "", 200, `{"compatibilityLevel":"FULL_TRANSITIVE"}`)
	a.want("DELETE", "/config/s", "", 404, `{"error_code":40401,"message":"Subject 's' not found."}`)
	if status, body := a.do("PUT", "/config", `{"compatibility":"SOME"}`); status != 422 || !strings.Contains(body, "42203") {
		t.Errorf("%d %s", status, body)
	}
	a.want("GET", "/mode", "", 200, `{"mode":"READWRITE"}`)
	a.want("GET", "/mode/s", "", 404, `{"error_code":40409,"message":"Subject 's' does not have subject-level mode configured"}`)
	a.want("PUT", "/mode/s", `{"mode":"READONLY"}`, 200, `{"mode":"READONLY"}`)
	a.want("POST", "/subjects/s/versions", schemaBody(`"int"`), 422, `{"error_code":42205,"message":"Subject s is in read-only mode"}`)
	a.want("DELETE", "/mode/s", "", 200, `{"mode":"READONLY"}`)
	a.want("POST", "/subjects/s/versions", `{"schema":"\"int\"","id":50}`, 422, `{"error_code":42205,"message":"Subject s is not in import mode"}`)
	a.want("PUT", "/mode", `{"mode":"IMPORT"}`, 200, `{"mode":"IMPORT"}`)
	a.want("POST", "/subjects/s/versions", `{"schema":"\"int\"","id":50,"version":4}`, 200, `{"id":50}`)
	a.want("GET", "/subjects/s/versions/4", "", 200, `{"subject":"s","version":4,"id":50,"schema":"\"int\""}`)
	a.want("POST", "/subjects/s/versions", `{"schema":"\"long\"","id":50}`, 422, `{"error_code":42207,"message":"Overwrite new schema with id 50 is not permitted."}`)
	a.want("PUT", "/mode", `{"mode":"READWRITE"}`, 200, `{"mode":"READWRITE"}`)
	a.want("PUT", "/mode", `{"mode":"IMPORT"}`, 422, `{"error_code":42205,"message":"Cannot import since found existing subjects"}`)
	if status, body := a.do("PUT", "/mode", `{"mode":"X"}`); status != 422 || !strings.Contains(body, "42204") {
		t.Errorf("%d %s", status, body)
	}
	a.register("t", `"long"`, 51)
}

// TestRestart holds that everything is there again after registry and broker have been started anew.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	kafka, stop := broker(t, dir)
	a, end := start(t, kafka)
	a.register("s", userV1, 1)
	a.register("s", userV2, 2)
	a.register("gone", `"int"`, 3)
	a.want("DELETE", "/subjects/s/versions/1", "", 200, `1`)
	a.want("DELETE", "/subjects/gone", "", 200, `[1]`)
	a.want("DELETE", "/subjects/gone?permanent=true", "", 200, `[1]`)
	a.want("PUT", "/config/s", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL"}`)
	a.want("PUT", "/mode/m", `{"mode":"READONLY"}`, 200, `{"mode":"READONLY"}`)
	end()
	stop()

	kafka, stop = broker(t, dir)
	defer stop()
	b, end := start(t, kafka)
	defer end()
	b.want("GET", "/subjects/s/versions", "", 200, `[2]`)
	b.want("GET", "/subjects/s/versions?deleted=true", "", 200, `[1,2]`)
	b.want("GET", "/subjects?deleted=true", "", 200, `["s"]`)
	b.want("GET", "/config/s", "", 200, `{"compatibilityLevel":"FULL"}`)
	b.want("GET", "/mode/m", "", 200, `{"mode":"READONLY"}`)
	b.want("POST", "/subjects/s", schemaBody(userV2), 200, mustJSON(sr.SubjectSchema{Subject: "s", Version: 2, ID: 2, Schema: sr.Schema{Schema: compact(userV2)}}))
	b.register("s", userV2, 2)
	if status, body := b.do("POST", "/subjects/s/versions", schemaBody(userLess)); status != 409 {
		t.Errorf("%d %s", status, body)
	}
	b.register("fresh", `"int"`, 4)
}

func mustJSON(v any) string {
	out, _ := json.Marshal(v)
	return string(out)
}

func compact(text string) string {
	out, _, _ := canonical(context.Background(), sr.TypeAvro, text, nil, nil)
	return out
}

// TestHighestIDSurvivesCompaction leaves of a schema deleted for good only what a compacted topic keeps.
func TestHighestIDSurvivesCompaction(t *testing.T) {
	a := newAPI(t)
	a.register("s", userV1, 1)
	a.register("gone", `"int"`, 2)
	a.want("DELETE", "/subjects/gone", "", 200, `[1]`)
	a.want("DELETE", "/subjects/gone?permanent=true", "", 200, `[1]`)
	last := map[recordKey]record{}
	if err := a.r.store.replay(t.Context(), func(rec record) { last[rec.key] = rec }); err != nil {
		t.Fatal(err)
	}
	compacted := newState()
	for _, rec := range last {
		if !rec.tombstone {
			compacted.apply(rec)
		}
	}
	if compacted.nextID != 3 {
		t.Errorf("next id %d, want 3", compacted.nextID)
	}
}

// TestBrokerGone holds that a write which cannot be stored is an error and changes nothing, while reads go on.
func TestBrokerGone(t *testing.T) {
	kafka, stop := broker(t, "")
	a, end := start(t, kafka)
	defer end()
	a.register("s", userV1, 1)
	stop()
	a.r.config.Timeout = 1 // ns: the deadline is over at once
	a.want("POST", "/subjects/s/versions", schemaBody(userV2), 500, `{"error_code":50001,"message":"Error in the backend data store"}`)
	a.want("GET", "/subjects/s/versions", "", 200, `[1]`)
	if a.r.state.nextID != 3 {
		t.Errorf("next id %d: the id of a write in doubt would be given again", a.r.state.nextID)
	}
}

func TestNewNeedsCanonical(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("no error")
	}
}

func TestStartWithoutBroker(t *testing.T) {
	r, err := New(Config{Kafka: []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}, Canonical: canonical, Timeout: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err == nil {
		t.Error("started")
	}
	r.Close()
}

// TestStartAsTheTopicSpreads: a broker that has not heard yet of the topic that was created a moment ago is asked again.
func TestStartAsTheTopicSpreads(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.ControlKey(int16(kmsg.ListOffsets), func(request kmsg.Request) (kmsg.Response, error, bool) { // once
		list := request.(*kmsg.ListOffsetsRequest)
		reply := list.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, topic := range list.Topics {
			of := kmsg.NewListOffsetsResponseTopic()
			of.Topic = topic.Topic
			for _, p := range topic.Partitions {
				partition := kmsg.NewListOffsetsResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, kerr.UnknownTopicOrPartition.Code
				of.Partitions = append(of.Partitions, partition)
			}
			reply.Topics = append(reply.Topics, of)
		}
		return reply, nil, true
	})
	_, stop := start(t, []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)})
	stop()
}
