// Package testkafka runs real Apache Kafka for tests: one node or several, each a JVM of its own in KRaft combined mode (broker and
// controller in one process), on loopback ports, with its data in a temporary folder.
//
// The jars come from Maven, by the pom.xml in the folder kafka, and stay in the user's cache folder, so only the first run on a machine
// downloads anything. A child never outlives the process that started it: on Linux the kernel kills it (see package testjava), elsewhere
// Close must be called. Java 17 or newer is needed, and Maven until the jars are cached; Windows is not supported.
package testkafka
