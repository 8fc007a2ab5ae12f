// Package harness is what the black-box tests share: brokers to test against, the proxy in this process or in one of its own, requests to
// it, and a view of Kafka that does not go through it.
package harness
