package checker

import (
	"cmp"
	"slices"
)

// lane is a sequence that Kafka keeps in order: the records of one key, or those sent to one partition without a key.
type lane struct {
	topic string
	key   string
	keyed bool
	place int32 // the partition that was asked for, or AnyPartition
}

// arrival is an acknowledged record and its place in the log.
type arrival struct {
	op *operation
	at Entry
}

// checkOrder judges acknowledged records only: one in doubt may be stored late, and nothing was promised of it.
func checkOrder(ops operations, stored map[string][]Entry, r *Report) {
	for _, arrivals := range lanes(ops, stored) {
		slices.SortStableFunc(arrivals, func(a, b arrival) int {
			return cmp.Or(cmp.Compare(a.at.Partition, b.at.Partition), cmp.Compare(a.at.Offset, b.at.Offset))
		})
		checkLane(arrivals, r)
	}
}

// lanes sorts the records into their sequences. One without a key whose partition was left open is in none, nor is one that lies in
// another partition than it was sent to, which is a finding of its own.
func lanes(ops operations, stored map[string][]Entry) map[lane][]arrival {
	out := make(map[lane][]arrival)
	for _, op := range ops.list {
		entries := stored[op.id]
		if op.outcome != OK || len(entries) == 0 {
			continue
		}
		at := entries[max(0, slices.IndexFunc(entries, op.isAt))]
		l := lane{topic: op.topic, key: string(op.key), keyed: op.key != nil, place: op.partition}
		open := op.partition < 0
		if (open && !l.keyed) || (!open && at.Partition != op.partition) {
			continue
		}
		out[l] = append(out[l], arrival{op, at})
	}
	return out
}

// checkLane goes through one sequence in the order of the log. A record is out of place when its worker has sent one that lies in front of
// it later, or when it had been acknowledged before anybody sent one that lies in front of it.
func checkLane(arrivals []arrival, r *Report) {
	var newest *operation                   // of all so far, the one that was sent last
	newestOf := make(map[string]*operation) // the same for each worker
	for i, a := range arrivals {
		if i > 0 && a.at.Partition != arrivals[i-1].at.Partition {
			r.add(OutOfOrder, a.op.id, "is at %s, and %s of the same key at %s", a.at.where(), arrivals[i-1].op.id, arrivals[i-1].at.where())
			newest, newestOf = nil, make(map[string]*operation)
		}
		own := newestOf[a.op.worker]
		switch {
		case own != nil && own.number > a.op.number:
			r.add(OutOfOrder, a.op.id, "was sent before %s and lies behind it, at %s", own.id, a.at.where())
		case newest != nil && newest.invoked > a.op.answered:
			r.add(OutOfOrder, a.op.id, "was acknowledged before %s was sent and lies behind it, at %s", newest.id, a.at.where())
		}
		newestOf[a.op.worker] = later(own, a.op)
		newest = later(newest, a.op)
	}
}

// later is the one that was sent later; a may be nil.
func later(a, b *operation) *operation {
	if a != nil && a.number > b.number {
		return a
	}
	return b
}
