package config

import (
	"fmt"
	"strconv"
)

func messagesGroups() []group {
	return []group{
		{"Messages API", ours(append(messagesKeys(), readKeys()...)...)},
		{"Tasks", ours(taskKeys()...)},
		{"Callbacks", ours(callbackKeys()...)},
	}
}

func messagesKeys() []Key {
	return []Key{
		boolean("api.messages.enable", true, "Serve the messages API (docs/messages.md)."),
		list("messages.overrides.allow", "",
			"Settings that one produce request may choose for itself: `acks`, `timeout`, `compression`; empty means none.").of("acks", "timeout", "compression"),
		millis("messages.stream.idle.timeout.ms", 300000, 1000, "How long a produce stream may be silent between two messages."),
		millis("messages.wait.max.ms", 60000, 0, "Most that `Prefer: wait=` and `wait=` may ask for."),
	}
}

func taskKeys() []Key {
	return []Key{
		choice("tasks.store", "topic", "Where tasks are kept: in a compacted topic, so that they survive a restart, or in memory.", "topic", "memory"),
		text("tasks.topic", "_kafka_rest_tasks", "The topic of tasks; it is created with the first task."),
		integer("tasks.topic.partitions", 8, 1, 1000, "Partitions of that topic when it is created."),
		integer("tasks.topic.replication.factor", 3, 1, 100, "Replicas of that topic when it is created; as many as there are brokers when there are fewer."),
		integer("tasks.max", 100000, 1, 10000000, "Most tasks at once; above it 429."),
		long("tasks.bytes", 64<<20, 1<<20, 1<<40, "Bytes that tasks may hold, their records while they are pending and their outcomes; above it 429."),
		millis("tasks.retention.ms", 600000, 1000, "How long a task is kept after its end."),
	}
}

func callbackKeys() []Key {
	return []Key{
		list("callbacks.allow.hosts", "",
			"Hosts that callbacks may go to: `host`, `*.domain` or `*`, with `:port` or `:*` behind; empty switches callbacks off."),
		boolean("callbacks.allow.private", false,
			"Send callbacks also to addresses that are not public, and over plain http: only where every client may reach your network."),
		hidden("callbacks.secrets", "Keys that sign callbacks, `whsec_…`, comma separated: two while a key is being changed."),
		list("callbacks.retry.ms", "5000,300000,1800000,7200000,18000000,36000000,50400000,72000000,86400000",
			"Pauses between the attempts of a callback, in milliseconds; after the last it is given up.").checked(checkMillisList),
		millis("callbacks.timeout.ms", 15000, 100, "Deadline of one attempt of a callback."),
	}
}

func checkMillisList(text string) error {
	for _, element := range splitList(text) {
		if n, err := strconv.ParseInt(element, 10, 64); err != nil || n < 1 || n > 30*86400000 {
			return fmt.Errorf("has the element %q, which is no number of milliseconds up to 30 days", element)
		}
	}
	return nil
}
