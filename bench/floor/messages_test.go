package floor

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"kafkarest/bench/load"
)

func TestOneMessage(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	url := start(t)
	status, body := call(t, "POST", url+"/messages/t", "application/octet-stream", load.Value(3, 100))
	if err := load.Stored(1)(status, body); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		status, body := call(t, "GET", url+"/consume?id=1&group=g&topic=t&max=20&wait=500", "", "")
		if status == 200 && strings.Contains(string(body), load.Value(3, 100)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not read back by the deadline: %d %s", status, body)
		}
	}
}

func TestLines(t *testing.T) {
	url := start(t)
	addr := strings.TrimPrefix(url, "http://")
	// Lines of more than a lot, that do not end where a read ends.
	got, err := load.StreamLines(t.Context(), addr, "/messages/t", load.Lines(700, 333), 5, 20*time.Second)
	if err != nil || got.Records != 3500 || got.Gaps+got.Repeats != 0 || got.Last != `{"done":true,"stored":3500,"failed":0,"in_doubt":0}` {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLinesThatCannotBeStored(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	url := start(t)
	status, body := call(t, "POST", url+"/messages/t", typeLines, "\n{\"n\":1}\n\n[]")
	if err := load.Stored(2)(status, body); err != nil || !strings.HasSuffix(string(body), `"stored":2,"failed":0,"in_doubt":0}`+"\n") {
		t.Errorf("%v: %s", err, body)
	}
	tooLarge := `"` + strings.Repeat("x", 2<<20) + `"`
	if status, body := call(t, "POST", url+"/messages/t", typeLines, "1\n"+tooLarge+"\n2\n"); strings.Contains(string(body), "done") {
		t.Errorf("%d %.100s: a reply with its end, to a line that Kafka does not take", status, body)
	}
}
