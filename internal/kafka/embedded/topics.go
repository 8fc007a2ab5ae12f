package embedded

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxTopicName is Kafka's limit of a topic's name in bytes.
const maxTopicName = 249

// rearmAfter is the number of requests after which a control function is registered anew. kfake keeps a reference to every
// connection that a control function has seen, so one that stays for ever is a leak in a process that opens many connections.
const rearmAfter = 4096

// watchTopics looks at requests before kfake answers them, for two things that kfake does not do. It accepts any topic name where
// Kafka answers INVALID_TOPIC_EXCEPTION, and a topic that it creates itself on a metadata request is not written to its data folder
// until some other topic changes, so that a crash loses the topic with all its records.
func (b *Broker) watchTopics() {
	b.watch(kmsg.CreateTopics, func(r kmsg.Request) {
		for _, t := range r.(*kmsg.CreateTopicsRequest).Topics {
			b.refuseIllegal(kmsg.CreateTopics, t.Topic)
		}
	})
	b.watch(kmsg.Metadata, func(r kmsg.Request) {
		req := r.(*kmsg.MetadataRequest)
		for _, t := range req.Topics {
			if t.Topic != nil && !b.refuseIllegal(kmsg.Metadata, *t.Topic) && req.AllowAutoTopicCreation && b.cfg.AutoCreate {
				b.autoCreate(*t.Topic)
			}
		}
	})
}

// watch calls see for each request of a key and lets kfake answer it.
func (b *Broker) watch(key kmsg.Key, see func(kmsg.Request)) {
	seen := 0
	b.cluster.ControlKey(int16(key), func(r kmsg.Request) (kmsg.Response, error, bool) {
		see(r)
		if seen++; seen == rearmAfter {
			b.cluster.DropControl()
			b.watch(key, see)
		}
		return nil, nil, false
	})
}

// refuseIllegal makes kfake's answer to the request under way an error for this topic if its name is illegal, and reports that.
func (b *Broker) refuseIllegal(key kmsg.Key, topic string) bool {
	if legalTopic(topic) {
		return false
	}
	b.fail(key, topic, kerr.InvalidTopicException)
	return true
}

func (b *Broker) autoCreate(topic string) {
	if b.cluster.TopicInfo(topic) != nil {
		return
	}
	err := b.cluster.CreateTopic(topic, int32(b.cfg.Partitions), nil)
	var kafka *kerr.Error
	if errors.As(err, &kafka) && !errors.Is(err, kerr.TopicAlreadyExists) {
		b.fail(kmsg.Metadata, topic, kafka) // a name that differs from another only in dots and underscores
	}
}

// fail plants an error for one topic. Faults are matched right after control functions, so the request under way takes it.
func (b *Broker) fail(key kmsg.Key, topic string, err *kerr.Error) {
	b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Topic: topic, Err: err, Count: 1})
}

// legalTopic holds Kafka's rule for topic names.
func legalTopic(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > maxTopicName {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
