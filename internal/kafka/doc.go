// Package kafka is the only room that holds Kafka clients: one shared admin client, a small pool of shared idempotent producers, clients for
// consumer instances, the directory of topics that are known to exist, and the table from Kafka errors to published codes. It knows nothing
// of HTTP.
package kafka
