package load_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kafkarest/bench/load"
)

// queue hands out offsets 0, 1, …, each after an answer without a message; offset says which is the i-th.
type queue struct {
	mu       sync.Mutex
	asked    int
	deleted  map[string]int
	offset   func(i int) int
	refusing bool
}

func (q *queue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case r.Method == "DELETE" && q.refusing:
		http.Error(w, "lease lost", http.StatusConflict)
	case r.Method == "DELETE":
		q.deleted[r.URL.String()]++
		w.WriteHeader(http.StatusNoContent)
	case r.URL.String() != "/messages/t/g?limit=1&wait=1":
		http.Error(w, r.URL.String(), http.StatusNotFound)
	case q.asked%2 == 0:
		q.asked++
		fmt.Fprint(w, `{"messages":[]}`)
	default:
		at := q.offset(q.asked / 2)
		q.asked++
		const message = `{"messages":[{"topic":"t","offset":%d,"value":{"id":1},"ack":"http://%s/messages/t/g/%d?partition=0&lease=%d"}]}`
		fmt.Fprintf(w, message, at, r.Host, at, q.asked)
	}
}

func TestWork(t *testing.T) {
	q := &queue{deleted: map[string]int{}, offset: func(i int) int { return i }}
	got := load.Work(t.Context(), serve(t, q.ServeHTTP), "/messages/t/g", 3, 20, 10*time.Second)
	if got.Cycles != 20 || got.Twice != 0 || got.FirstError != nil || got.Empty < 17 || len(got.Latency) != 20 {
		t.Errorf("%+v", got)
	}
	if len(q.deleted) != 20 {
		t.Errorf("%d messages were acknowledged", len(q.deleted))
	}
}

func TestWorkSeesWhatComesTwice(t *testing.T) {
	q := &queue{deleted: map[string]int{}, offset: func(i int) int { return i / 2 }}
	if got := load.Work(t.Context(), serve(t, q.ServeHTTP), "/messages/t/g", 1, 10, 10*time.Second); got.Cycles != 10 || got.Twice != 5 {
		t.Errorf("%+v", got)
	}
}

func TestWorkFails(t *testing.T) {
	refusing := &queue{deleted: map[string]int{}, offset: func(i int) int { return i }, refusing: true}
	for _, c := range []struct {
		handler http.HandlerFunc
		want    string
	}{
		{refusing.ServeHTTP, "acknowledge: status 409: lease lost"},
		{func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "full", http.StatusTooManyRequests) }, "receive: status 429: full"},
		{func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"messages":[{"ack":"x"}]}`) }, "no ack URL"},
		{func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"messages":[{"ack":"http://a/b"},{"ack":"http://a/c"}]}`)
		}, "several messages"},
		{func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"messages":[]}`) }, "0 of 5 cycles within"},
	} {
		got := load.Work(t.Context(), serve(t, c.handler), "/messages/t/g", 2, 5, 300*time.Millisecond)
		if got.Cycles != 0 || got.FirstError == nil || !strings.Contains(got.FirstError.Error(), c.want) {
			t.Errorf("%+v; want %s", got, c.want)
		}
	}
}
