package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"kafkarest/tests/harness"
)

// The topic of tasks holds what belongs to other clients, their results and where these are sent: through no API can it be read or written.
func TestTopicOfTasksIsDenied(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		settings := ownTasks()
		own := settings["tasks.topic"]
		p := startProxy(t, b, settings)
		other := harness.CreateTopic(t, b, 1)
		task := final(t, &p.Endpoint, accept(t, &p.Endpoint, "/messages/"+other, `"mine"`)) // the topic exists from now on
		manual, member := p.Instance(harness.FreshName("g"), ""), p.Instance(harness.FreshName("g"), "")
		cluster := p.clusterPath(t)
		const intruder = `{"records":[{"key":"intruder","value":"intruder"}]}`
		for _, test := range []struct{ method, path, contentType, body string }{
			{"GET", "/topics/" + own, "", ""},
			{"DELETE", cluster + "/topics/" + own, "", ""},
			{"PATCH", cluster + "/topics/" + own, "application/json", `{"partitions_count":100}`},
			{"POST", cluster + "/topics", "application/json", fmt.Sprintf(`{"topic_name":%q}`, own)},
			{"GET", "/topics/" + own + "/partitions", "", ""},
			{"GET", "/topics/" + own + "/partitions/0", "", ""},
			{"GET", "/topics/" + own + "/partitions/0/offsets", "", ""},
			{"POST", "/topics/" + own, harness.JSON, intruder},
			{"POST", "/topics/" + own + "/partitions/0", harness.JSON, intruder},
			{"POST", manual + "/assignments", harness.V2, fmt.Sprintf(`{"partitions":[{"topic":%q,"partition":0},{"topic":%q,"partition":0}]}`, other, own)},
			{"POST", member + "/subscription", harness.V2, fmt.Sprintf(`{"topics":[%q,%q]}`, other, own)},
			{"POST", "/messages/" + own, "", "intruder"},
			{"POST", "/messages/" + own, ndjson, `"intruder"`},
			{"POST", "/messages", "application/json", fmt.Sprintf(`{"records":[{"topic":%q,"value":"intruder"}]}`, own)},
			{"GET", "/messages/" + own + "/-/earliest", "", ""},
			{"GET", "/messages/" + own + "/-/latest", "", ""},
			{"GET", "/messages/" + own + "/0/0", "", ""},
			{"GET", "/messages/" + own + "/" + harness.FreshName("g"), "", ""},
			{"GET", "/messages/" + other + "/" + harness.FreshName("g") + "?max_deliveries=1&dead_letter_topic=" + own, "", ""},
		} {
			var headers []string
			if test.contentType != "" {
				headers = []string{"Content-Type", test.contentType}
			}
			r := p.Do(test.method, test.path, test.body, headers...)
			code := r.Code()
			if outcomes := r.Outcomes(); len(outcomes) == 1 && outcomes[0].Code != nil {
				code = *outcomes[0].Code
			}
			if r.Status != 403 || code != 40301 || !strings.Contains(r.Body, own) {
				t.Errorf("%s %s: %d %d %s", test.method, test.path, r.Status, code, r.Body)
			}
		}
		for _, i := range []string{manual, member} { // nothing of a refused request stays
			if r := p.Read(i, harness.V2, "?timeout=1"); r.Status != 409 || r.Code() != 40903 {
				t.Errorf("%d %s", r.Status, r.Body)
			}
		}
		if r := p.Do("GET", "/topics", ""); r.Status != 200 || !strings.Contains(r.Body, own) {
			t.Errorf("its name is no secret: %d %s", r.Status, r.Body)
		}
		for _, r := range harness.ReadLog(t, b, own) {
			if bytes.Contains(r.Key, []byte("intruder")) || bytes.Contains(r.Value, []byte("intruder")) {
				t.Errorf("partition %d, offset %d: %s %s", r.Partition, r.Offset, r.Key, r.Value)
			}
		}
		if again := taskOf(t, p.Do("GET", "/tasks/"+task.ID, "")); again.Status != "delivered" {
			t.Errorf("%+v", again)
		}
		final(t, &p.Endpoint, accept(t, &p.Endpoint, "/messages/"+other, `"again"`))
	})
}

// A pattern that matches the topic of tasks, by its name or as one of all, passes it over.
func TestPatternsPassOverTheTopicOfTasks(t *testing.T) {
	eachBroker(t, func(t *testing.T, b broker) {
		settings := ownTasks()
		own := settings["tasks.topic"]
		p := startProxy(t, b, settings)
		twin := harness.CreateNamed(t, b, own+"_", 1, 1) // the name is denied, not what begins with it
		other := harness.CreateTopic(t, b, 1)
		for n := range 20 { // on most of the topic's partitions
			final(t, &p.Endpoint, accept(t, &p.Endpoint, "/messages/"+other, fmt.Sprint(n)))
		}
		putMessage(t, p, "POST", "/messages/"+twin, "twin")
		i := p.Instance(harness.FreshName("g"), `{"auto.offset.reset":"earliest"}`)
		p.Want(204, "POST", i+"/subscription", fmt.Sprintf(`{"topic_pattern":"%s.*|%s"}`, own, other))
		from := map[string]int{}
		for _, r := range p.ReadN(i, harness.V2, "?timeout=5000", 21) {
			from[r.Topic]++
		}
		if want := map[string]int{other: 20, twin: 1}; !maps.Equal(from, want) {
			t.Errorf("records of %v, want %v", from, want)
		}
		if r := p.Want(200, "GET", i+"/assignments", ""); strings.Contains(r.Body, own+`"`) {
			t.Errorf("%s", r.Body)
		}
	})
}

// clusterPath is where v3 has the cluster.
func (p *proxy) clusterPath(t *testing.T) string {
	t.Helper()
	var list struct {
		Data []struct {
			ID string `json:"cluster_id"`
		}
	}
	if err := json.Unmarshal([]byte(p.Want(200, "GET", "/v3/clusters", "").Body), &list); err != nil || len(list.Data) != 1 {
		t.Fatal(list, err)
	}
	return "/v3/clusters/" + list.Data[0].ID
}
