// Package faults breaks what the proxy depends on, or the proxy itself, and holds its answers against what Kafka has stored in the end. The
// proxy runs as a process of its own, and is killed by its id where a test says so.
//
// The quick tests run everywhere. Those on three brokers run with KAFKA_REST_FAULTS=1 only; with CI=true too, a machine that cannot run
// them fails them.
package faults
