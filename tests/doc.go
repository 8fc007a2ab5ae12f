// Package tests holds the black-box tests of the whole program: each body runs over HTTP against a proxy on the embedded broker and against
// one on a real Apache Kafka.
package tests
