package checker

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Options say what the run was promised.
type Options struct {
	// Deadline is the longest time from a request to its outcome, slack included. 0 means that time is not judged.
	Deadline time.Duration
	// AtLeastOnce allows that a record is delivered again as long as no confirmed commit covers it.
	AtLeastOnce bool
	// Complete demands that each group got the whole log of each topic it got anything of. Without it a group must merely have no gap
	// between the first and the last record it got of a partition.
	Complete bool
	// Unstamped allows stored records that no worker made, such as ones a test has planted as poison.
	Unstamped bool
}

// Check compares what was asked for and told with what is stored. The log must have been read after the last event, with nothing of the
// run still on its way.
func Check(h History, log Log, o Options) *Report {
	r := &Report{}
	ops := collect(h, r)
	stored := locate(log, ops, r, o)
	checkOutcomes(ops, stored, r, o)
	checkOrder(ops, stored, r)
	checkConsumers(h, log, r, o)
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Detail, b.Detail))
	})
	return r
}

// operation is one record's request and outcome.
type operation struct {
	id        string
	worker    string
	number    int // the place of its invoke among all invokes: sequence numbers as a worker counts them, for free
	topic     string
	partition int32 // as asked for
	key       []byte
	invoked   time.Duration
	outcome   Op // "" while there is none
	answered  time.Duration
	at        place // as acknowledged
	offset    int64
}

// operations keeps the order in which they were invoked.
type operations struct {
	list []*operation
	byID map[string]*operation
	runs map[string]bool
}

// collect pairs requests with outcomes.
func collect(h History, r *Report) operations {
	ops := operations{byID: make(map[string]*operation), runs: make(map[string]bool)}
	for _, e := range h.Events {
		switch e.Op {
		case Invoke:
			ops.invoke(e, r)
		case OK, Failed, Unknown:
			ops.settle(e, r)
		}
	}
	return ops
}

func (ops *operations) invoke(e Event, r *Report) {
	r.Invoked++
	if ops.byID[e.ID] != nil {
		r.add(BadHistory, e.ID, "is asked for twice")
		return
	}
	op := &operation{
		id: e.ID, worker: workerOf(e.ID), number: len(ops.list), topic: e.Topic, partition: e.Partition, key: e.Key, invoked: e.Time,
	}
	ops.list = append(ops.list, op)
	ops.byID[e.ID] = op
	ops.runs[runOf(e.ID)] = true
}

func (ops *operations) settle(e Event, r *Report) {
	op := ops.byID[e.ID]
	switch {
	case op == nil:
		r.add(BadHistory, e.ID, "has an outcome and no request")
	case op.outcome != "":
		r.add(BadHistory, e.ID, "has two outcomes, %s and %s", op.outcome, e.Op)
	default:
		op.outcome, op.answered = e.Op, e.Time
		op.at, op.offset = place{op.topic, e.Partition}, e.Offset
	}
}

func runOf(id string) string {
	run, _, _ := strings.Cut(id, "/")
	return run
}

// locate finds where each id is stored, in the order of the log, and judges the stored records one by one.
func locate(log Log, ops operations, r *Report, o Options) map[string][]Entry {
	stored := make(map[string][]Entry)
	for _, e := range log.Entries {
		s, ok := e.decode()
		switch {
		case !ok && !o.Unstamped:
			r.add(Corrupt, "", "%s holds no record of a worker", e.where())
		case !ok:
		case ops.byID[s.ID] != nil:
			r.Stored++
			stored[s.ID] = append(stored[s.ID], e)
			r.addFlaw(s, e)
		case ops.runs[runOf(s.ID)]:
			r.Stored++
			r.add(Phantom, s.ID, "%s was never asked for", e.where())
		default:
			r.Foreign++
		}
	}
	return stored
}

func (r *Report) addFlaw(s stamp, e Entry) {
	corrupt, misrouted := s.flaw(e)
	if corrupt != "" {
		r.add(Corrupt, s.ID, "%s: %s", e.where(), corrupt)
	}
	if misrouted != "" {
		r.add(Misrouted, s.ID, "%s: %s", e.where(), misrouted)
	}
}

// checkOutcomes holds each answer against the log and the clock.
func checkOutcomes(ops operations, stored map[string][]Entry, r *Report, o Options) {
	for _, op := range ops.list {
		entries := stored[op.id]
		switch op.outcome {
		case OK:
			r.OK++
			r.checkOK(op, entries)
		case Failed:
			r.Failed++
			for _, e := range entries {
				r.add(Phantom, op.id, "failed and is at %s", e.where())
			}
		default:
			r.Unknown++
			if len(entries) > 1 {
				r.add(DuplicateUnknown, op.id, "is in doubt and stored at %s", places(entries))
			}
		}
		r.checkTime(op, o.Deadline)
	}
}

func (r *Report) checkOK(op *operation, entries []Entry) {
	switch len(entries) {
	case 0:
		r.add(Lost, op.id, "was acknowledged at %s[%d]@%d", op.at.topic, op.at.partition, op.offset)
		return
	case 1:
	default:
		r.add(DuplicateOK, op.id, "is stored at %s", places(entries))
	}
	there := func(e Entry) bool {
		return e.Partition == op.at.partition && e.Offset == op.offset && e.Topic == op.topic
	}
	if !slices.ContainsFunc(entries, there) {
		r.add(Misrouted, op.id, "was acknowledged at %s[%d]@%d and is at %s", op.at.topic, op.at.partition, op.offset, places(entries))
	}
}

// isAt says whether the entry is where the record was acknowledged.
func (op *operation) isAt(e Entry) bool {
	return e.Offset == op.offset && e.Partition == op.at.partition && e.Topic == op.at.topic
}

func places(entries []Entry) string {
	var out []string
	for _, e := range entries {
		out = append(out, e.where())
	}
	return strings.Join(out, ", ")
}

func (r *Report) checkTime(op *operation, deadline time.Duration) {
	if op.outcome == "" {
		if deadline > 0 {
			r.add(Late, op.id, "was never answered")
		}
		return
	}
	latency := op.answered - op.invoked
	r.MaxLatency = max(r.MaxLatency, latency)
	if deadline > 0 && latency > deadline {
		r.add(Late, op.id, "was answered %s after %v", op.outcome, latency.Round(time.Millisecond))
	}
}
