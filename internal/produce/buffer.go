package produce

import (
	"sync"
	"time"

	"kafkarest"
)

// buffer counts the bytes in flight, for all topics and for each, so that a topic whose leader is gone fills its own share and no more.
type buffer struct {
	limit, topicLimit int64

	mu     sync.Mutex
	used   int64
	topics map[string]int64 // only those with bytes in flight
	freed  chan struct{}    // closed when bytes are given back; nil when nobody waits
}

func newBuffer(limit, topicLimit int64) *buffer {
	return &buffer{limit: limit, topicLimit: min(topicLimit, limit), topics: map[string]int64{}}
}

// take makes room for n bytes, or says which limit is used up. One request larger than a limit passes when nothing else is in flight.
func (b *buffer) take(topic string, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	used := b.topics[topic]
	switch {
	case b.used > 0 && b.used+n > b.limit:
		return full("Too many bytes are on their way to Kafka for all topics together (produce.buffer.bytes); try again later.")
	case used > 0 && used+n > b.topicLimit:
		return full("Too many bytes are on their way to Kafka for this topic (produce.buffer.topic.bytes); try again later.")
	}
	b.used += n
	b.topics[topic] = used + n
	return nil
}

func full(message string) error {
	return &kafkarest.Error{Code: kafkarest.CodeTooManyRequests, Message: message, RetryAfter: time.Second}
}

func (b *buffer) release(topic string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
	if left := b.topics[topic] - n; left > 0 {
		b.topics[topic] = left
	} else {
		delete(b.topics, topic)
	}
}
