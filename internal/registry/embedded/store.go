package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// The kinds of keys in the topic.
const (
	keySchema = "SCHEMA"
	keyConfig = "CONFIG"
	keyMode   = "MODE"
	keyNoop   = "NOOP" // other registries pass over it; ours keeps the highest id in it, see Registry.delete
)

// record is one of the topic, decoded.
type record struct {
	key       recordKey
	value     recordValue
	tombstone bool
}

type recordKey struct {
	Type    string `json:"keytype"`
	Subject string `json:"subject,omitempty"`
	Version int    `json:"version,omitempty"`
	Magic   int    `json:"magic"`
}

// recordValue is the value of every kind of key: each uses its own members.
type recordValue struct {
	Subject    string               `json:"subject,omitempty"`
	Version    int                  `json:"version,omitempty"`
	ID         int                  `json:"id,omitempty"`
	Type       sr.SchemaType        `json:"schemaType,omitempty"`
	References []sr.SchemaReference `json:"references,omitempty"`
	Schema     string               `json:"schema,omitempty"`
	Deleted    bool                 `json:"deleted,omitempty"`
	Hash       string               `json:"identity,omitempty"` // ours: see hashOf

	Compat string `json:"compatibilityLevel,omitempty"`
	Mode   string `json:"mode,omitempty"`
}

func schemaRecord(v *version) record {
	return record{
		key: recordKey{Type: keySchema, Subject: v.subject, Version: v.number, Magic: 1},
		value: recordValue{
			Subject: v.subject, Version: v.number, ID: v.schema.id, Type: v.schema.Type,
			References: v.schema.References, Schema: v.schema.Schema.Schema, Deleted: v.deleted, Hash: v.schema.hash,
		},
	}
}

// hashOf tells schemas apart: identity is what is left of a text without its spelling.
func hashOf(typ sr.SchemaType, identity string, refs []sr.SchemaReference) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s", typ, identity)
	for _, r := range refs {
		fmt.Fprintf(h, "\x00%s\x00%s\x00%d", r.Name, r.Subject, r.Version)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// store is the topic. It has one partition, and this process is its only writer.
type store struct {
	topic  string
	client *kgo.Client
	opts   []kgo.Opt
}

func openStore(ctx context.Context, c Config) (*store, error) {
	cl, err := kgo.NewClient(append(slices.Clone(c.Kafka),
		kgo.ClientID("kafka-rest-schemas"),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		kgo.DisableClientMetrics(),
	)...)
	if err != nil {
		return nil, fmt.Errorf("embedded registry: %w", err)
	}
	s := &store{topic: c.Topic, client: cl, opts: c.Kafka}
	if err := s.create(ctx); err != nil {
		cl.Close()
		return nil, fmt.Errorf("embedded registry: create topic %s: %w", c.Topic, err)
	}
	return s, nil
}

func (s *store) close() { s.client.Close() }

func (s *store) create(ctx context.Context) error {
	compact := "compact"
	_, err := kadm.NewClient(s.client).CreateTopic(ctx, 1, -1, map[string]*string{"cleanup.policy": &compact}, s.topic)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	return err
}

// replay gives the records from the start of the topic to what is its end now.
func (s *store) replay(ctx context.Context, apply func(record)) error {
	end, err := s.end(ctx)
	if err != nil {
		return fmt.Errorf("embedded registry: end of topic %s: %w", s.topic, err)
	}
	if end == 0 {
		return nil
	}
	start := map[string]map[int32]kgo.Offset{s.topic: {0: kgo.NewOffset().AtStart()}}
	reader, err := kgo.NewClient(append(slices.Clone(s.opts), kgo.ConsumePartitions(start), kgo.DisableClientMetrics(),
		kgo.KeepControlRecords())...)
	if err != nil {
		return fmt.Errorf("embedded registry: %w", err)
	}
	defer reader.Close()
	return s.readTo(ctx, reader, end, apply)
}

// end is the offset after the topic's last record. A topic that was created a moment ago is not known to every broker, or has no leader yet.
func (s *store) end(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		ends, err := kadm.NewClient(s.client).ListEndOffsets(ctx, s.topic)
		if err == nil {
			err = ends.Error()
		}
		if end, ok := ends.Lookup(s.topic, 0); err == nil && ok {
			return end.Offset, nil
		}
		if err == nil {
			err = kerr.UnknownTopicOrPartition
		}
		if !kerr.IsRetriable(err) {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, err
		case <-again.C:
		}
	}
}

// readTo polls until a record before end, or a gap over it, has been seen. Compaction may have removed the very last records, but never
// the last of all.
func (s *store) readTo(ctx context.Context, reader *kgo.Client, end int64, apply func(record)) error {
	for next := int64(0); next < end; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("embedded registry: read topic %s: %w", s.topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			if rec, ok := decodeRecord(r); ok {
				apply(rec)
			}
		})
	}
	return nil
}

// decodeRecord reports false for a record that is none of ours.
func decodeRecord(r *kgo.Record) (record, bool) {
	var out record
	if r.Attrs.IsControl() || json.Unmarshal(r.Key, &out.key) != nil {
		return out, false
	}
	if r.Value == nil {
		out.tombstone = true
		return out, true
	}
	return out, json.Unmarshal(r.Value, &out.value) == nil
}

// append writes one record and waits until it is stored.
func (s *store) append(ctx context.Context, rec record) error {
	k, err := json.Marshal(rec.key)
	if err != nil {
		return err
	}
	var v []byte
	if !rec.tombstone {
		if v, err = json.Marshal(rec.value); err != nil {
			return err
		}
	}
	return s.client.ProduceSync(ctx, &kgo.Record{Topic: s.topic, Key: k, Value: v}).FirstErr()
}
