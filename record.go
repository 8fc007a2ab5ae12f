package kafkarest

import "time"

// AnyPartition as the Partition of a record to produce leaves the choice to the partitioner: murmur2 of the key as the Java client
// computes it, or a sticky partition when the key is null.
const AnyPartition int32 = -1

// Header is one header of a record. Keys may repeat and keep their order.
type Header struct {
	Key   string
	Value []byte // nil is Kafka's null, which is not the same as empty
}

// Record is one Kafka record, on its way in or out.
type Record struct {
	Topic     string
	Partition int32     // AnyPartition when unset on produce
	Offset    int64     // set on consume only
	Timestamp time.Time // zero on produce means now; millisecond precision
	Key       []byte    // nil is Kafka's null
	Value     []byte    // nil is Kafka's null: a tombstone on a compacted topic
	Headers   []Header
}

// Size is what the record counts for in a byte limit: the bytes of its key and value, as stored.
func (r *Record) Size() int { return len(r.Key) + len(r.Value) }
