package consume

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"kafkarest"
	"kafkarest/internal/format"

	"pgregory.net/rapid"
)

const modelPartitions = 2

// TestModel runs any sequence of produce, read, lost and written replies, commit, seek, rebalance, expiry and shedding of memory against a
// model of what a client may see: no record is skipped, none comes again after a commit that covers it except after a seek back or a lost
// reply, and no commit goes beyond what is proven to have been received.
func TestModel(t *testing.T) {
	r := newRig(t, Config{AutoCommitInterval: time.Hour, InstanceTimeout: time.Hour, RequestTimeout: 50 * time.Millisecond})
	checks, steps := flag.Lookup("rapid.checks"), flag.Lookup("rapid.steps") // other properties of this room are cheaper
	before := [2]string{checks.Value.String(), steps.Value.String()}
	t.Cleanup(func() { _ = errors.Join(checks.Value.Set(before[0]), steps.Value.Set(before[1])) })
	if before[0] == checks.DefValue {
		_ = errors.Join(checks.Value.Set("30"), steps.Value.Set("40"))
	}
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		w := newWorld(t, r, fmt.Sprintf("model-%d", n))
		defer w.end()
		t.Repeat(map[string]func(*rapid.T){
			"produce":         w.produce, // some more often than others
			"produce again":   w.produce,
			"read":            w.read,
			"read again":      w.read,
			"read once more":  w.read,
			"read at last":    w.read,
			"commit received": w.commitReceived,
			"commit offset":   w.commitOffset,
			"seek":            w.seek,
			"drop":            w.drop,
			"rebalance":       w.rebalance,
			"expire":          w.expire,
			"auto commit":     w.autoCommit,
		})
		w.readToTheEnd()
	})
}

// world is the model: the log, what the group has committed, and what each instance should see next.
type world struct {
	t            *rapid.T
	r            *rig
	topic, group string
	manual, auto bool
	length       [modelPartitions]int64
	committed    [modelPartitions]int64          // -1 for none
	proven       [modelPartitions]map[int64]bool // every offset up to which a client is known to have received, ever
	instances    map[string]*viewer
	moving       bool // the group rebalances: a partition may begin anew at any read
}

// viewer is one instance and its client.
type viewer struct {
	i       *Instance
	next    [modelPartitions]int64 // of the next record; -1 where only a beginning is possible
	anew    [modelPartitions]bool  // the partition may begin at one of begins, since it may have been assigned anew
	begins  [modelPartitions]map[int64]bool
	proven  [modelPartitions]int64 // -1 for none, or where the partition may have been assigned anew
	open    *Delivery              // the last one
	lost    bool                   // its reply was
	first   map[int32]int64        // its first record of each partition that was not sought since
	through map[int32]int64        // and what follows the last
}

func newWorld(t *rapid.T, r *rig, name string) *world {
	w := &world{t: t, r: r, topic: name, group: name, instances: map[string]*viewer{}}
	w.manual, w.auto = rapid.Bool().Draw(t, "manual"), rapid.Bool().Draw(t, "auto commit")
	for p := range w.committed {
		w.committed[p], w.proven[p] = -1, map[int64]bool{}
	}
	r.topic(t, w.topic, modelPartitions)
	w.join("a")
	return w
}

func (w *world) end() {
	for _, v := range w.instances {
		_ = w.r.m.Delete(w.group, v.i.Name())
	}
}

func (w *world) join(name string) {
	v := &viewer{i: w.r.create(w.t, w.group, Options{Name: name, Key: format.Binary{}, Value: format.Text{}, AutoCommit: &w.auto})}
	w.instances[name] = v
	if w.manual {
		var all []TopicPartition
		for p := range int32(modelPartitions) {
			all = append(all, TopicPartition{w.topic, p})
		}
		if err := v.i.Assign(all); err != nil {
			w.t.Fatal(err)
		}
	} else if err := v.i.Subscribe([]string{w.topic}); err != nil {
		w.t.Fatal(err)
	}
	for p := range v.next {
		v.next[p] = -1
	}
	w.settle()
}

func (w *world) names() []string { return slices.Sorted(maps.Keys(w.instances)) }

func (w *world) some(t *rapid.T) *viewer {
	return w.instances[rapid.SampledFrom(w.names()).Draw(t, "instance")]
}

// begin is where a partition begins that is assigned now.
func (w *world) begin(p int32) int64 { return max(w.committed[p], 0) }

// restart forgets what need not stand after a new assignment. When exactly it comes is known only in the end.
func (w *world) restart(v *viewer, p int32) {
	v.anew[p], v.proven[p], v.begins[p] = true, -1, map[int64]bool{w.begin(p): true}
}

// settle waits for a rebalance to be over: everything is assigned once, and may begin anew.
func (w *world) settle() {
	w.moving = true
	for _, v := range w.instances {
		for p := range int32(modelPartitions) { // its old assignment stands for a while
			old := v.begins[p]
			w.restart(v, p)
			maps.Copy(v.begins[p], old)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); !w.settled(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("the group does not settle: %+v", w.r.b.Cluster().GroupInfo(w.group))
		}
		for _, name := range w.names() {
			w.readOnce(w.instances[name], ReadOptions{Wait: 10 * time.Millisecond}, "written")
		}
	}
	w.moving = false
	w.checkCommitted()
	for _, v := range w.instances {
		for p := range int32(modelPartitions) {
			w.restart(v, p)
		}
	}
}

func (w *world) settled() bool {
	owned := map[TopicPartition]int{}
	for _, v := range w.instances {
		for _, p := range v.i.Assignment() {
			owned[p]++
		}
	}
	if w.manual {
		return len(owned) == modelPartitions
	}
	info := w.r.b.Cluster().GroupInfo(w.group)
	if info == nil || info.State != "Stable" || len(info.Members) != len(w.instances) || info.NumAssigned() != modelPartitions || len(owned) != modelPartitions {
		return false
	}
	for _, n := range owned {
		if n != 1 {
			return false
		}
	}
	return true
}

func (w *world) produce(t *rapid.T) {
	p := rapid.Int32Range(0, modelPartitions-1).Draw(t, "partition")
	var values []string
	for range rapid.IntRange(1, 8).Draw(t, "records") {
		values = append(values, strconv.FormatInt(w.length[p], 10))
		w.length[p]++
	}
	w.r.store(t, w.topic, p, values...)
}

// unread reports whether a read of v must return something.
func (w *world) unread(v *viewer) bool {
	for _, tp := range v.i.Assignment() {
		next := v.next[tp.Partition]
		if v.anew[tp.Partition] {
			next = max(next, slices.Max(slices.Collect(maps.Keys(v.begins[tp.Partition])))) // at least what follows it is to come
		}
		if at, ok := v.first[tp.Partition]; ok && v.lost && v.open != nil {
			next = at
		}
		if next < w.length[tp.Partition] {
			return true
		}
	}
	return false
}

func (w *world) read(t *rapid.T) {
	v := w.some(t)
	opts := ReadOptions{Wait: time.Millisecond, MaxBytes: rapid.SampledFrom([]int64{0, 1, 2, 3, 4}).Draw(t, "max bytes")}
	if must := w.unread(v); must {
		opts.Wait = 10 * time.Second
	}
	outcome := rapid.SampledFrom([]string{"written", "written", "lost", "lost later", "cancelled"}).Draw(t, "outcome")
	got := w.readOnce(v, opts, outcome)
	if opts.Wait > time.Second && got == 0 && outcome != "cancelled" {
		t.Fatalf("%s: nothing comes, %+v of %v records", v.i.Name(), v, w.length)
	}
}

// readOnce reads, holds what comes against the model, and gives the number of records.
func (w *world) readOnce(v *viewer, opts ReadOptions, outcome string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if outcome == "cancelled" { // the client is gone before it can be answered
		cancel()
	}
	w.received(v)
	d, err := v.i.Read(ctx, opts)
	if outcome == "cancelled" && err != nil {
		return 0
	}
	if err != nil {
		w.t.Fatalf("%s: read: %v", v.i.Name(), err)
	}
	if w.moving {
		w.checkCommitted() // the group's own commits come before what it assigns
	}
	v.open, v.lost, v.first, v.through = d, outcome != "written", map[int32]int64{}, map[int32]int64{}
	for n, r := range d.Records {
		p := r.Partition
		if string(r.Record.Value) != strconv.FormatInt(r.Offset, 10) {
			w.t.Fatalf("offset %d of partition %d has the value %s", r.Offset, p, r.Record.Value)
		}
		_, within := v.through[p]
		if fits := r.Offset == v.next[p] || v.anew[p] && v.begins[p][r.Offset] && !within; !fits {
			w.t.Fatalf("%s: record %d of the read is offset %d of partition %d, want %d (anew %v, %v; committed %d)",
				v.i.Name(), n, r.Offset, p, v.next[p], v.anew[p], v.begins[p], w.committed[p])
		}
		if _, ok := v.first[p]; !ok {
			v.first[p] = r.Offset
		}
		v.next[p], v.through[p] = r.Offset+1, r.Offset+1
		if !w.moving {
			v.anew[p] = false
		}
	}
	switch outcome {
	case "lost":
		d.Lost()
	case "lost later":
		d.Written()
		d.Lost()
	default:
		d.Written()
	}
	return len(d.Records)
}

// received is what the next call of an instance says of the delivery before: it has come, or comes again.
func (w *world) received(v *viewer) {
	if v.open == nil {
		return
	}
	for p := range v.first {
		switch {
		case v.lost && v.anew[p]:
			v.next[p] = v.first[p] // or the beginning
		case v.lost:
			v.next[p] = v.first[p]
		default:
			w.proven[p][v.through[p]] = true
			if !v.anew[p] {
				v.proven[p] = v.through[p]
			}
		}
	}
	v.open, v.first, v.through = nil, nil, nil
}

func (w *world) commitReceived(t *rapid.T) {
	v := w.some(t)
	if !v.lost { // a commit proves what was written, and leaves what was lost to the next read
		w.received(v)
	}
	if err := v.i.CommitReceived(context.Background()); err != nil {
		t.Fatalf("commit: %v", err)
	}
	w.checkCommitted()
	for _, tp := range v.i.Assignment() {
		if proven := v.proven[tp.Partition]; proven >= 0 && w.committed[tp.Partition] != proven {
			t.Fatalf("%s: partition %d: %d is committed, %d is proven", v.i.Name(), tp.Partition, w.committed[tp.Partition], proven)
		}
	}
}

func (w *world) commitOffset(t *rapid.T) {
	v := w.some(t)
	owned := v.i.Assignment()
	if len(owned) == 0 {
		t.Skip()
	}
	tp := rapid.SampledFrom(owned).Draw(t, "partition")
	at := rapid.Int64Range(0, w.length[tp.Partition]).Draw(t, "offset")
	if err := v.i.Commit(context.Background(), []Committed{{tp, at, "of the model"}}); err != nil {
		t.Fatalf("commit: %v", err)
	}
	w.committed[tp.Partition] = at
	w.checkCommitted()
}

func (w *world) seek(t *rapid.T) {
	v := w.some(t)
	owned := v.i.Assignment()
	if len(owned) == 0 {
		t.Skip()
	}
	tp := rapid.SampledFrom(owned).Draw(t, "partition")
	at := rapid.Int64Range(0, w.length[tp.Partition]).Draw(t, "offset")
	if err := v.i.Seek([]Position{{tp, at}}); err != nil {
		t.Fatalf("seek: %v", err)
	}
	p := tp.Partition
	v.next[p], v.anew[p], v.proven[p] = at, false, -1
	delete(v.first, p)
	delete(v.through, p)
}

func (w *world) drop(t *rapid.T) { w.some(t).i.drop() }

// rebalance has a second instance join or leave; assigned partitions are taken away and given back.
func (w *world) rebalance(t *rapid.T) {
	if w.manual {
		w.reassign(t)
		return
	}
	second := w.instances["b"]
	if second == nil {
		w.join("b")
		return
	}
	delete(w.instances, "b")
	if err := w.r.m.Delete(w.group, "b"); err != nil {
		t.Fatal(err)
	}
	w.settle()
}

func (w *world) reassign(t *rapid.T) {
	v := w.instances["a"]
	kept := rapid.Int32Range(0, modelPartitions-1).Draw(t, "kept")
	other := 1 - kept
	both := []TopicPartition{{w.topic, kept}, {w.topic, other}}
	if err := errors.Join(v.i.Assign(both[:1]), v.i.Assign(both)); err != nil {
		t.Fatal(err)
	}
	v.next[other] = -1
	w.restart(v, other)
	delete(v.first, other)
	delete(v.through, other)
}

// expire ends every instance, as if nobody had called for an hour; the first one comes again.
func (w *world) expire(t *rapid.T) {
	w.r.m.expire(time.Now().Add(2 * time.Hour))
	for deadline := time.Now().Add(20 * time.Second); w.r.m.Count() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the instances do not end")
		}
	}
	clear(w.instances)
	w.checkCommitted()
	w.join("a")
}

// autoCommit is what the Manager does each interval. It is right for instances that do not commit by themselves too, and done to them so that
// it meets as many states as there are.
func (w *world) autoCommit(*rapid.T) {
	for _, v := range w.instances {
		if err := v.i.commitProven(context.Background()); err != nil && kafkarest.AsError(err).Code != kafkarest.CodeStaleMember {
			w.t.Fatal(err)
		}
	}
	w.checkCommitted()
}

// checkCommitted holds what the broker has stored against the model: what it was, or something proven.
func (w *world) checkCommitted() {
	for p := range int32(modelPartitions) {
		now := w.r.stored(w.t, w.group, w.topic, p)
		if now != w.committed[p] && !w.proven[p][now] {
			w.t.Fatalf("partition %d: %d is committed, %d was, %v is proven", p, now, w.committed[p], w.proven[p])
		}
		w.committed[p] = now
		if w.moving || w.manual { // assigned partitions look at it when they are read first
			for _, v := range w.instances {
				v.begins[p][w.begin(p)] = true
			}
		}
	}
}

// readToTheEnd reads all there is, with every reply written.
func (w *world) readToTheEnd() {
	for _, name := range w.names() {
		v := w.instances[name]
		for w.unread(v) {
			if w.readOnce(v, ReadOptions{Wait: 10 * time.Second}, "written") == 0 {
				w.t.Fatalf("%s: nothing comes, %+v of %v records", name, v, w.length)
			}
		}
		for w.readOnce(v, ReadOptions{Wait: 20 * time.Millisecond}, "written") > 0 { // of what began anew
		}
		for _, tp := range v.i.Assignment() {
			if p := tp.Partition; w.length[p] > 0 && v.next[p] != w.length[p] && !v.begins[p][w.length[p]] {
				w.t.Fatalf("%s: partition %d ended at %d of %d", name, p, v.next[p], w.length[p])
			}
		}
	}
}
