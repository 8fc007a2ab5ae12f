package task

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"kafkarest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is one that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func memoryStore(t *testing.T, cfg Config) (*Store, *clock) {
	t.Helper()
	c := &clock{now: time.Now()}
	cfg.InMemory, cfg.Now = true, c.Now
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Close(ctx)
	})
	return s, c
}

func begin(t *testing.T, s *Store, b Beginning) ID {
	t.Helper()
	id, earlier, err := s.Begin(t.Context(), b)
	if err != nil || earlier != nil {
		t.Fatal(earlier, err)
	}
	return id
}

func codeOf(err error) kafkarest.Code {
	if e, ok := errors.AsType[*kafkarest.Error](err); ok {
		return e.Code
	}
	return 0
}

func TestLifeOfATask(t *testing.T) {
	s, c := memoryStore(t, Config{Retention: time.Minute})
	id := begin(t, s, Beginning{Async: true, Owner: "me", Size: 1000})
	if got, err := s.Get(t.Context(), id, "me"); err != nil || got.Status != Pending || got.Result != nil || !got.Finished.IsZero() {
		t.Fatalf("%+v %v", got, err)
	}
	if _, err := s.Get(t.Context(), id, "you"); codeOf(err) != kafkarest.CodeTaskNotFound {
		t.Errorf("another's: %v", err)
	}
	if err := s.Delete(t.Context(), id, "me"); codeOf(err) != kafkarest.CodeTaskPending {
		t.Errorf("delete while pending: %v", err)
	}
	s.Finish(id, Delivered, 200, []byte(`[1]`), nil)
	s.Finish(id, Failed, 500, []byte(`[2]`), nil) // too late
	got, err := s.Get(t.Context(), id, "me")
	if err != nil || got.Status != Delivered || string(got.Result) != "[1]" || got.Finished.IsZero() || got.Answer != 200 {
		t.Fatalf("%+v %v", got, err)
	}
	if info := s.Info(); info.Tasks != 1 || info.Pending != 0 || info.Bytes != entrySize+3 || info.Durable {
		t.Errorf("%+v", info)
	}
	c.add(59 * time.Second)
	s.sweep()
	if _, err := s.Get(t.Context(), id, "me"); err != nil {
		t.Errorf("gone too early: %v", err)
	}
	c.add(2 * time.Second)
	s.sweep()
	if _, err := s.Get(t.Context(), id, "me"); codeOf(err) != kafkarest.CodeTaskExpired {
		t.Errorf("expired: %v", err)
	}
	if info := s.Info(); info.Tasks != 0 || info.Bytes != 0 {
		t.Errorf("%+v", info)
	}
	if _, err := s.Get(t.Context(), newID("x"), "me"); codeOf(err) != kafkarest.CodeTaskNotFound {
		t.Errorf("never was: %v", err)
	}
}

func TestLimits(t *testing.T) {
	s, _ := memoryStore(t, Config{Max: 2, Bytes: 3000})
	first := begin(t, s, Beginning{Async: true, Size: 2000})
	if _, _, err := s.Begin(t.Context(), Beginning{Size: 2000}); codeOf(err) != kafkarest.CodeTooManyRequests {
		t.Errorf("too many bytes: %v", err)
	}
	_, _, err := s.Begin(t.Context(), Beginning{Size: 3001})
	if e, ok := errors.AsType[*kafkarest.Error](err); !ok || e.Code != kafkarest.CodeTooLarge || !strings.Contains(e.Message, "tasks.bytes") || e.RetryAfter > 0 {
		t.Errorf("more than there ever is: %v", err)
	}
	begin(t, s, Beginning{})
	_, _, err = s.Begin(t.Context(), Beginning{})
	if e, ok := errors.AsType[*kafkarest.Error](err); !ok || e.Code != kafkarest.CodeTooManyRequests || e.RetryAfter == 0 {
		t.Errorf("too many: %v", err)
	}
	s.Finish(first, Delivered, 200, nil, nil)
	if err := s.Delete(t.Context(), first, ""); err != nil {
		t.Fatal(err)
	}
	begin(t, s, Beginning{Size: 2000})
}

func TestWaitForTheEnd(t *testing.T) {
	s, _ := memoryStore(t, Config{})
	id := begin(t, s, Beginning{Async: true})
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if got, err := s.Wait(short, id, ""); err != nil || got.Status != Pending {
		t.Fatalf("%+v %v", got, err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if got, err := s.Wait(t.Context(), id, ""); err != nil || got.Status != Partial {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
	s.Finish(id, Partial, 207, []byte("[]"), nil)
	wg.Wait()
}

func TestIdempotencyKeys(t *testing.T) {
	s, c := memoryStore(t, Config{Retention: time.Minute})
	b := Beginning{Key: "k", Scope: "t", Print: [32]byte{1}}
	id := begin(t, s, b)
	other := b
	other.Print = [32]byte{2}
	if _, _, err := s.Begin(t.Context(), other); codeOf(err) != kafkarest.CodeKeyReused {
		t.Errorf("another request: %v", err)
	}
	if _, _, err := s.Begin(t.Context(), b); codeOf(err) != kafkarest.CodeKeyInUse {
		t.Errorf("still under way: %v", err)
	}
	for _, change := range []func(*Beginning){func(b *Beginning) { b.Scope = "u" }, func(b *Beginning) { b.Owner = "me" }, func(b *Beginning) { b.Key = "kt"; b.Scope = "" }} {
		different := b
		change(&different)
		begin(t, s, different)
	}
	s.Finish(id, Delivered, 200, []byte("[7]"), nil)
	_, earlier, err := s.Begin(t.Context(), b)
	if err != nil || earlier == nil || string(earlier.Result) != "[7]" || earlier.Answer != 200 {
		t.Errorf("%+v %v", earlier, err)
	}
	if _, err := s.Get(t.Context(), id, ""); codeOf(err) != kafkarest.CodeTaskNotFound {
		t.Errorf("its id was given to nobody: %v", err)
	}
	c.add(2 * time.Minute)
	s.sweep()
	again := begin(t, s, b)
	s.Forget(again)
	begin(t, s, b)
}

func TestCloseWaitsForTasks(t *testing.T) {
	s, _ := memoryStore(t, Config{})
	id := begin(t, s, Beginning{Async: true})
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.Close(t.Context())
	}()
	select {
	case <-closed:
		t.Fatal("it did not wait")
	case <-time.After(20 * time.Millisecond):
	}
	s.Finish(id, Delivered, 200, nil, nil)
	<-closed
}

func TestRecordRoundTrip(t *testing.T) {
	long := []byte(`["` + strings.Repeat("x", 5000) + `"]`)
	for _, result := range [][]byte{nil, []byte(`[{"topic":"t"}]`), long} {
		e := newEntry(newID("n"), origin{"n", "o"}, 1)
		e.status, e.async, e.answer = Partial, true, 207
		*e.more() = rest{finished: 2, idem: &idempotency{key: [16]byte{1}, print: [32]byte{2}},
			callback: &callback{url: "https://x/", state: CallbackWaiting, count: 2, next: 5, attempts: []Attempt{{time.UnixMilli(3), 500, ""}, {time.UnixMilli(4), 0, "no connection"}}}}
		e.result, e.packed = pack(result)
		if result == nil {
			e.result = nil
		}
		data := e.encode()
		if len(data) > 1500 {
			t.Errorf("%d bytes", len(data))
		}
		got, err := decode(e.id, data)
		if err != nil {
			t.Fatal(err)
		}
		s := &Store{}
		a, b := s.snapshot(e), s.snapshot(got)
		if string(a.AppendJSON(nil)) != string(b.AppendJSON(nil)) || string(b.Result) != string(result) || got.origin != e.origin || *got.idem != *e.idem {
			t.Errorf("%s\n%s", a.AppendJSON(nil), b.AppendJSON(nil))
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"v":1,"node":"n","status":"pending","created":1}`))
	f.Add([]byte(`{"v":1,"status":"delivered","packed":"H4sI","callback":{"url":"x","attempts":[{}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decode(ID{}, data)
		if err != nil {
			return
		}
		task := (&Store{}).snapshot(e)
		task.AppendJSON(nil)
		if _, err := decode(ID{}, e.encode()); err != nil {
			t.Errorf("%q: what was read cannot be read again: %v", data, err)
		}
	})
}

// TestEntrySize: very many tasks may be pending, so that each byte of an entry counts.
func TestEntrySize(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size > 64 {
		t.Errorf("an entry has %d bytes", size)
	}
	if !reflect.DeepEqual(nothing, rest{}) {
		t.Error("what entries without a rest share was written to")
	}
}

func TestIDs(t *testing.T) {
	id := newID("node")
	if got, ok := ParseID(id.String()); !ok || got != id || len(id.String()) != 27 {
		t.Error(id, got, ok)
	}
	if other := newID("node"); other == id || [nodeBytes]byte(other[:]) != [nodeBytes]byte(id[:]) {
		t.Error("ids of one node begin alike and are different")
	}
	for _, bad := range []string{"", "x", strings.Repeat("!", 27), id.String() + "A"} {
		if _, ok := ParseID(bad); ok {
			t.Errorf("%q is an id", bad)
		}
	}
}

// TestWaitersLeave: what was made to wait for a task is gone with those who waited, however it ended.
func TestWaitersLeave(t *testing.T) {
	s, _ := memoryStore(t, Config{})
	id := begin(t, s, Beginning{Async: true})
	waiters := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.waiters)
	}
	over, cancel := context.WithCancel(t.Context())
	done := make(chan Status, 3)
	wait := func(ctx context.Context) {
		got, err := s.Wait(ctx, id, "")
		if err != nil {
			t.Error(err)
			done <- Unknown
			return
		}
		done <- got.Status
	}
	go wait(over)
	go wait(t.Context())
	for waiters() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if got := <-done; got != Pending {
		t.Errorf("it waited no longer, and it is %v", got)
	}
	s.Finish(id, Delivered, 200, nil, nil)
	if got := <-done; got != Delivered {
		t.Errorf("the other one: %v", got)
	}
	if n := waiters(); n != 0 {
		t.Errorf("%d are left", n)
	}
	again := begin(t, s, Beginning{Async: true})
	id = again
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	wait(ended)
	if n := waiters(); n != 0 {
		t.Errorf("%d are left", n)
	}
}
