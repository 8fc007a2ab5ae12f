package consume

import (
	"cmp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ring is the newest records of one partition: all that there are from start up to, and without, end. Its topic's lock guards it.
type ring struct {
	start, end int64
	records    []*kgo.Record // by offset; the slice moves on, what readers have taken of it stays theirs
	polled     int64         // where the hub's client goes on; warm may be ahead of it
	bytes      int64
	users      int
	idle       time.Time // since when users is 0
}

func recordSize(r *kgo.Record) int64 { return int64(len(r.Key)+len(r.Value)) + 200 }

// add appends what is new, forgets the oldest beyond the limits, and reports whether anything was new. The newest record always stays.
func (r *ring) add(records []*kgo.Record, limit int64) bool {
	first, _ := slices.BinarySearchFunc(records, r.end, func(x *kgo.Record, o int64) int { return cmp.Compare(x.Offset, o) })
	records = records[first:]
	if len(records) == 0 {
		return false
	}
	r.records = append(r.records, records...)
	r.end = records[len(records)-1].Offset + 1
	for _, x := range records {
		r.bytes += recordSize(x)
	}
	old := 0
	for old < len(r.records)-1 && (r.bytes > limit || len(r.records)-old > ringRecords) {
		r.bytes -= recordSize(r.records[old])
		old++
	}
	if old > 0 {
		r.start = r.records[old-1].Offset + 1
		clear(r.records[:old]) // else the array keeps them
		r.records = r.records[old:]
	}
	return true
}

// restarted reports whether the hub's client, which brought these records, has gone back: its place was not in the log any more.
func (r *ring) restarted(records []*kgo.Record) bool {
	if len(records) == 0 {
		return false
	}
	before := r.polled
	r.polled = records[len(records)-1].Offset + 1
	return records[0].Offset < before
}

// from gives records from an offset on, which is not below start, in memory of the caller's own.
func (r *ring) from(offset int64, most int) (records []*kgo.Record, next int64) {
	i, _ := slices.BinarySearchFunc(r.records, offset, func(x *kgo.Record, o int64) int { return cmp.Compare(x.Offset, o) })
	records = slices.Clone(r.records[i:min(len(r.records), i+most)])
	if n := len(records); n > 0 {
		return records, records[n-1].Offset + 1
	}
	return nil, max(offset, r.end)
}
