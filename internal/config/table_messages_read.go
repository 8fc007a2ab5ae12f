package config

// readKeys are those of the reading half of the messages API.
func readKeys() []Key {
	return []Key{
		integer("messages.read.limit.max", 10000, 1, 1000000, "Most messages that `limit=` of one read may ask for."),
		long("messages.read.max.bytes", 16<<20, 1, 1<<30, "Most bytes that one read gives, whatever `max_bytes=` asks for; one message always fits."),
		long("messages.read.buffer.bytes", 128<<20, 1<<20, 1<<40,
			"Bytes that all reads may hold until their replies are written; above it they wait, then 429. A read that waits for a message holds nothing."),
		long("messages.tail.buffer.bytes", 64<<20, 1<<20, 1<<40,
			"Bytes of the newest records of all topics that somebody waits for; a reader that is slower than that fetches for itself."),
		integer("messages.streams.max", 5000, 1, 1000000, "Most endless reads from an offset at once; above it 429."),
		millis("messages.heartbeat.ms", 15000, 100, "How often a stream that has nothing to say shows that it lives."),
		millis("messages.ack.timeout.max.ms", 43200000, 1000, "Most that `ack_timeout=` and `delay=` may ask for."),
		integer("messages.queues.max", 1000, 1, 100000, "Most queues (a topic and a consumer) that this node is a member of; above it 429."),
		millis("messages.queue.idle.timeout.ms", 300000, 1000, "A queue that nobody uses is left after so long."),
		integer("messages.queue.window.records", 5000, 1, 20000, "Most records of a partition of a queue that are fetched and not acknowledged."),
		long("messages.queue.window.bytes", 8<<20, 1<<10, 1<<30, "And most bytes."),
		long("messages.queue.buffer.bytes", 256<<20, 1<<20, 1<<40, "Most bytes of all queues; above it those that hold something fetch no more."),
		millis("messages.queue.session.timeout.ms", 10000, 1000,
			"After so long without a sign of life the group gives the partitions of a node to others; the broker's group.min.session.timeout.ms is the least."),
	}
}
