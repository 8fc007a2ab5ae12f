// Package testregistry runs a real Schema Registry for tests: Apicurio Registry, a JVM of its own on a loopback port with everything in
// memory, which answers Confluent's API under /apis/ccompat/v7.
//
// It comes from Maven, by the pom.xml in the folder apicurio, and stays in the user's cache folder, so only the first run on a machine
// downloads anything. Java 21 or newer is needed, which need not be the one that runs Kafka: the newest that is installed is taken.
package testregistry
