package checker

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// AnyPartition as a record's partition leaves the choice to the partitioner.
const AnyPartition int32 = -1

// Record is one record that a worker asks the proxy to store.
type Record struct {
	ID        string // run/worker/seq, unique in the history
	Topic     string
	Partition int32  // AnyPartition, or the one that was asked for
	Key       []byte // nil is Kafka's null
	Value     []byte // a JSON object on one line: see stamp
}

// stamp is the value of a record: it says where the record belongs and carries the proof that it is whole.
type stamp struct {
	ID        string `json:"id"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Key       []byte `json:"key"` // base64, or null
	SHA256    string `json:"sha256"`
	Payload   string `json:"payload"`
}

// newRecord fills the payload with size characters that follow from the id alone.
func newRecord(id, topic string, partition int32, key []byte, size int) Record {
	payload := payloadOf(id, size)
	value, err := json.Marshal(stamp{
		ID: id, Topic: topic, Partition: partition, Key: key, SHA256: digest(payload), Payload: payload,
	})
	if err != nil {
		panic(fmt.Sprintf("checker: a stamp of strings cannot be encoded: %v", err))
	}
	return Record{ID: id, Topic: topic, Partition: partition, Key: key, Value: value}
}

func payloadOf(id string, size int) string {
	seed := fnv.New64a()
	_, _ = seed.Write([]byte(id)) // a hash never fails
	random := rand.New(rand.NewPCG(seed.Sum64(), 0))
	raw := make([]byte, 0, size+8)
	for len(raw) < size {
		raw = fmt.Appendf(raw, "%016x", random.Uint64())
	}
	return string(raw[:size])
}

func digest(payload string) string {
	sum := sha256.Sum256([]byte(payload))
	return hex.EncodeToString(sum[:])
}

// flaw compares a stored record with what its value says of it: "" when all is well.
func (s stamp) flaw(e Entry) (corrupt, misrouted string) {
	switch {
	case s.SHA256 != digest(s.Payload):
		return "the payload does not have its checksum", ""
	case s.Topic != e.Topic:
		return "", "it was meant for topic " + s.Topic
	case s.Partition >= 0 && s.Partition != e.Partition:
		return "", fmt.Sprintf("it was meant for partition %d", s.Partition)
	case (s.Key == nil) != (e.Key == nil) || !bytes.Equal(s.Key, e.Key):
		return "", fmt.Sprintf("its key is %s and should be %s", keyText(e.Key), keyText(s.Key))
	}
	return "", ""
}

func keyText(key []byte) string {
	if key == nil {
		return "null"
	}
	return base64.StdEncoding.EncodeToString(key) + " (base64)"
}
