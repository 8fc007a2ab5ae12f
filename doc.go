// Package kafkarest holds the nouns that every room of kafka-rest speaks: a record and its headers, and the one error type with
// the closed list of codes that a caller of the HTTP API can see. It uses the standard library only and does no I/O.
package kafkarest
