package consume

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/format"
	"kafkarest/internal/kafka"
	"kafkarest/internal/kafka/embedded"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rig is a Manager on a broker of its own.
type rig struct {
	m *Manager
	b *embedded.Broker
	c *kafka.Cluster
}

// newRig starts one; the test's end closes it, which no instance may outlive.
func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	b, err := embedded.Start(embedded.Config{Settings: map[string]string{"auto.create.topics.enable": "false"}})
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kafka.Open(kafka.Config{Common: b.Options(), Idempotent: true, RequestTimeout: 5 * time.Second,
		Consumer: []kgo.Opt{kgo.HeartbeatInterval(50 * time.Millisecond)}}) // how soon a member hears of a rebalance
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{New(cfg, cluster), b, cluster}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, closed := range []error{r.m.Close(ctx), cluster.Close(ctx), b.Close()} {
			if closed != nil {
				t.Error(closed)
			}
		}
		if n := r.m.Count(); n != 0 {
			t.Errorf("%d instances are left", n)
		}
	})
	return r
}

// failer is a test or a check of a property.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func (r *rig) topic(t failer, name string, partitions int32) {
	t.Helper()
	if err := r.b.Cluster().CreateTopic(name, partitions, nil); err != nil {
		t.Fatal(err)
	}
}

// store writes values to a partition.
func (r *rig) store(t failer, topic string, partition int32, values ...string) {
	t.Helper()
	p, err := r.c.Producer()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	failed := make(chan error, len(values))
	for _, v := range values {
		wg.Add(1)
		p.Produce(&kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed <- err
			}
			wg.Done()
		})
	}
	wg.Wait()
	if len(failed) > 0 {
		t.Fatal(<-failed)
	}
}

func (r *rig) create(t failer, group string, opts Options) *Instance {
	t.Helper()
	if opts.Key == nil {
		opts.Key, opts.Value = format.Text{}, format.Text{}
	}
	if opts.Reset == "" {
		opts.Reset = Earliest
	}
	i, err := r.m.Create(group, opts)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// received reads until n values have come, and says that every reply was written.
func received(t failer, i *Instance, n int) (values []string) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); len(values) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d records: %q", len(values), n, values)
		}
		d, err := i.Read(context.Background(), ReadOptions{Wait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range d.Records {
			values = append(values, string(r.Record.Value))
		}
		d.Written()
	}
	return values
}

// stored is the offset that the group has committed for a partition; -1 for none.
func (r *rig) stored(t failer, group, topic string, partition int32) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	offsets, err := r.c.Admin().FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return -1
	}
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup(topic, partition); ok {
		return o.At
	}
	return -1
}

func codeOf(err error) kafkarest.Code {
	if e := kafkarest.AsError(err); e != nil {
		return e.Code
	}
	return 0
}

func TestNames(t *testing.T) {
	r := newRig(t, Config{ID: "node-1"})
	i := r.create(t, "g", Options{})
	if !strings.HasPrefix(i.Name(), "rest-consumer-node-1-") || i.Group() != "g" {
		t.Errorf("%s/%s", i.Group(), i.Name())
	}
	if another := r.create(t, "g", Options{}); another.Name() == i.Name() {
		t.Errorf("two instances are called %s", i.Name())
	}
	if _, err := r.m.Create("g", Options{Name: i.Name()}); codeOf(err) != kafkarest.CodeInstanceExists {
		t.Errorf("%v", err)
	}
	r.create(t, "other", Options{Name: i.Name()})
	if got, err := r.m.Get("g", i.Name()); got != i || err != nil {
		t.Errorf("%v %v", got, err)
	}
	for _, name := range []string{"", "none"} {
		if _, err := r.m.Get("g", name); codeOf(err) != kafkarest.CodeInstanceNotFound {
			t.Errorf("%q: %v", name, err)
		}
		if err := r.m.Delete("g", name); codeOf(err) != kafkarest.CodeInstanceNotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := r.m.Delete("g", i.Name()); err != nil {
		t.Error(err)
	}
	if err := r.m.Delete("g", i.Name()); codeOf(err) != kafkarest.CodeInstanceNotFound {
		t.Errorf("deleted twice: %v", err)
	}
	r.create(t, "g", Options{Name: i.Name()}) // the name is free again
}

// TestNamesAreWonOnce: of a thousand creations at once, ten for each name, one wins each name.
func TestNamesAreWonOnce(t *testing.T) {
	r := newRig(t, Config{})
	var won [100]atomic.Int32
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for n := range 1000 {
		wg.Go(func() {
			<-begin
			_, err := r.m.Create("g", Options{Name: fmt.Sprint(n % 100), Key: format.Text{}, Value: format.Text{}})
			switch {
			case err == nil:
				won[n%100].Add(1)
			case codeOf(err) != kafkarest.CodeInstanceExists:
				t.Error(err)
			}
		})
	}
	close(begin)
	wg.Wait()
	for name := range won {
		if n := won[name].Load(); n != 1 {
			t.Errorf("name %d was won %d times", name, n)
		}
	}
	if n := r.m.Count(); n != 100 {
		t.Errorf("%d instances", n)
	}
}

// TestInstanceCap: the limit holds while many are created and deleted at once, and what is deleted makes room.
func TestInstanceCap(t *testing.T) {
	r := newRig(t, Config{MaxInstances: 10})
	var wg sync.WaitGroup
	for n := range 200 {
		wg.Go(func() {
			i, err := r.m.Create("g", Options{Name: fmt.Sprint(n)})
			if err != nil {
				if e := kafkarest.AsError(err); e.Code != kafkarest.CodeTooManyRequests || e.RetryAfter == 0 || !strings.Contains(e.Message, "consumer.instances.max") {
					t.Error(err)
				}
				return
			}
			there := 0
			r.m.instances.Range(func(_, _ any) bool { there++; return true })
			if there > 10 {
				t.Errorf("%d instances at once", there)
			}
			if err := r.m.Delete("g", i.Name()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for n := range 10 {
		r.create(t, "g", Options{Name: fmt.Sprint(n)})
	}
	if _, err := r.m.Create("g", Options{}); codeOf(err) != kafkarest.CodeTooManyRequests {
		t.Errorf("%v", err)
	}
	if _, err := r.m.Create("g", Options{Name: "0"}); codeOf(err) != kafkarest.CodeTooManyRequests && codeOf(err) != kafkarest.CodeInstanceExists {
		t.Errorf("%v", err)
	}
	if err := r.m.Delete("g", "0"); err != nil {
		t.Fatal(err)
	}
	r.create(t, "g", Options{Name: "0"})
}

// TestExpiry: an instance that nobody calls for its time is closed; one that is called, or read, is not.
func TestExpiry(t *testing.T) {
	r := newRig(t, Config{InstanceTimeout: time.Hour})
	r.topic(t, "t", 1)
	idle, reading := r.create(t, "g", Options{Name: "idle"}), r.create(t, "g2", Options{Name: "reading"})
	if err := reading.Assign([]TopicPartition{{"t", 0}}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		d, err := reading.Read(context.Background(), ReadOptions{Wait: 10 * time.Second})
		if err == nil {
			d.Written()
		}
		ended <- err
	}()
	for !reading.reading.Load() {
		time.Sleep(time.Millisecond)
	}
	r.m.expire(time.Now().Add(59 * time.Minute))
	if r.m.Count() != 2 {
		t.Error("expired before its time")
	}
	r.m.expire(time.Now().Add(61 * time.Minute))
	for deadline := time.Now().Add(10 * time.Second); r.m.Count() != 1 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if _, err := r.m.Get("g", "idle"); codeOf(err) != kafkarest.CodeInstanceNotFound {
		t.Errorf("the idle one: %v", err)
	}
	if err := idle.Subscribe([]string{"t"}); codeOf(err) != kafkarest.CodeInstanceNotFound {
		t.Errorf("what its late caller holds: %v", err)
	}
	if _, err := r.m.Get("g2", "reading"); err != nil {
		t.Errorf("the one that is read: %v", err)
	}
	r.store(t, "t", 0, "end")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestExpiryHasNoWallClock: a step of the wall clock expires nothing, since times carry the monotonic clock.
func TestExpiryHasNoWallClock(t *testing.T) {
	r := newRig(t, Config{InstanceTimeout: time.Minute})
	i := r.create(t, "g", Options{})
	if at := i.used.Load().String(); !strings.Contains(at, "m=") {
		t.Errorf("the time of the last call has no monotonic reading: %s", at)
	}
	before := i.idle(time.Now())
	i.touch()
	if after := i.idle(time.Now()); before < 0 || after < 0 || after > 10*time.Second {
		t.Errorf("idle for %v, then %v", before, after)
	}
}

// TestCloseLeavesGroups: Close waits for the instances, which commit what was received and leave.
func TestCloseLeavesGroups(t *testing.T) {
	r := newRig(t, Config{AutoCommit: true})
	r.topic(t, "t", 1)
	r.store(t, "t", 0, "a", "b", "c")
	member, loner := r.create(t, "g", Options{}), r.create(t, "alone", Options{})
	if err := errors.Join(member.Subscribe([]string{"t"}), loner.Assign([]TopicPartition{{"t", 0}})); err != nil {
		t.Fatal(err)
	}
	for _, i := range []*Instance{member, loner} {
		received(t, i, 3)
		if d, err := i.Read(t.Context(), ReadOptions{Wait: time.Millisecond}); err != nil { // proves the first
			t.Fatal(err)
		} else {
			d.Written()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.m.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if info := r.b.Cluster().GroupInfo("g"); info == nil || len(info.Members) != 0 || info.State != "Empty" {
		t.Errorf("the group after Close: %+v", info)
	}
	for _, group := range []string{"g", "alone"} {
		if at := r.stored(t, group, "t", 0); at != 3 {
			t.Errorf("%s has committed %d, want 3", group, at)
		}
	}
	if _, err := r.m.Create("g", Options{}); codeOf(err) != kafkarest.CodeDraining {
		t.Errorf("a creation after Close: %v", err)
	}
}

// TestCloseGivesUp: brokers that do not answer hold Close up until its context ends.
func TestCloseGivesUp(t *testing.T) {
	r := newRig(t, Config{AutoCommit: true, CommitTimeout: 500 * time.Millisecond})
	r.topic(t, "t", 1)
	r.store(t, "t", 0, "a")
	i := r.create(t, "g", Options{})
	if err := i.Subscribe([]string{"t"}); err != nil {
		t.Fatal(err)
	}
	received(t, i, 1)
	if d, err := i.Read(t.Context(), ReadOptions{Wait: time.Millisecond}); err != nil {
		t.Fatal(err)
	} else {
		d.Written()
	}
	thawed, thaw := context.WithCancel(context.Background())
	defer thaw()
	r.b.Cluster().ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.b.Cluster().SleepControl(func() { <-thawed.Done() })
		return nil, errors.New("thawed"), true
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := r.m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
	thaw()
	for deadline := time.Now().Add(10 * time.Second); r.m.Count() > 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) { // in its own time
	}
}

// TestCreateDuringClose: nothing that is created while the Manager closes is left behind.
func TestCreateDuringClose(t *testing.T) {
	r := newRig(t, Config{})
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for n := range 200 {
		wg.Go(func() {
			<-begin
			if _, err := r.m.Create("g", Options{Name: fmt.Sprint(n)}); err != nil && codeOf(err) != kafkarest.CodeDraining {
				t.Error(err)
			}
		})
	}
	close(begin)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.m.Close(ctx); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if n := r.m.Count(); n != 0 {
		t.Errorf("%d instances are left", n)
	}
}

// TestDrainEndsReads: a read that waits ends with what it has, and later ones wait no more.
func TestDrainEndsReads(t *testing.T) {
	r := newRig(t, Config{})
	r.topic(t, "t", 1)
	i := r.create(t, "g", Options{})
	if err := i.Assign([]TopicPartition{{"t", 0}}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		d, err := i.Read(context.Background(), ReadOptions{Wait: time.Minute})
		if err == nil {
			d.Written()
		}
		ended <- err
	}()
	for !i.reading.Load() {
		time.Sleep(time.Millisecond)
	}
	begin := time.Now()
	r.m.Drain()
	if err := <-ended; err != nil || time.Since(begin) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
	begin = time.Now()
	if d, err := i.Read(t.Context(), ReadOptions{Wait: time.Minute}); err != nil || len(d.Records) > 0 || time.Since(begin) > time.Second {
		t.Errorf("the next read: %v after %v", err, time.Since(begin))
	}
}

// TestAutoCommit: what is proven is committed each interval, and nothing else.
func TestAutoCommit(t *testing.T) {
	r := newRig(t, Config{AutoCommit: true, AutoCommitInterval: 100 * time.Millisecond})
	r.topic(t, "t", 1)
	r.store(t, "t", 0, "a", "b")
	i := r.create(t, "g", Options{})
	if err := i.Assign([]TopicPartition{{"t", 0}}); err != nil {
		t.Fatal(err)
	}
	received(t, i, 2)
	r.m.autoCommit(t.Context(), time.Now().Add(time.Second))
	if at := r.stored(t, "g", "t", 0); at != -1 {
		t.Errorf("%d is committed of what is not known to have been received", at)
	}
	if d, err := i.Read(t.Context(), ReadOptions{Wait: time.Millisecond}); err != nil {
		t.Fatal(err)
	} else {
		d.Written()
	}
	for deadline := time.Now().Add(10 * time.Second); r.stored(t, "g", "t", 0) != 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no automatic commit")
		}
	}
	if i.autoCommitDue(time.Now().Add(time.Hour)) {
		t.Error("there is nothing left to commit")
	}
	off := false
	if r.create(t, "g", Options{AutoCommit: &off}).autoCommitDue(time.Now().Add(time.Hour)) {
		t.Error("it commits although its settings say no")
	}
}

// TestShed: instances that nobody reads give up what they fetched ahead when all together hold too much, and nothing is lost by it.
func TestShed(t *testing.T) {
	r := newRig(t, Config{TotalBuffer: 1})
	r.topic(t, "t", 1)
	var want []string
	for n := range 100 {
		want = append(want, fmt.Sprint("value-", n))
	}
	r.store(t, "t", 0, want...)
	member, loner := r.create(t, "g", Options{}), r.create(t, "alone", Options{})
	if err := errors.Join(member.Subscribe([]string{"t"}), loner.Assign([]TopicPartition{{"t", 0}})); err != nil {
		t.Fatal(err)
	}
	for _, i := range []*Instance{member, loner} {
		var got []string
		for deadline := time.Now().Add(15 * time.Second); len(got) < len(want) && time.Now().Before(deadline); {
			d, err := i.Read(t.Context(), ReadOptions{Wait: 10 * time.Second, MaxBytes: 60})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range d.Records {
				got = append(got, string(r.Record.Value))
			}
			d.Written()
			if len(got) > 300 {
				t.Fatalf("%q", got)
			}
			r.m.shed()
			if n := i.buffered(); n > 0 {
				t.Errorf("%d bytes are still held", n)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q", got)
		}
	}
}
