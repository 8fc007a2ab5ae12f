// Package testjava is what the tests that run Java programs share: the JDKs of the machine, a cache of what Maven has fetched, child
// processes that never outlive this one, and the end of a test whose Java is missing.
package testjava
