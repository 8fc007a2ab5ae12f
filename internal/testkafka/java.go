package testkafka

import (
	"fmt"
	"testing"

	"kafkarest/internal/testjava"
)

// minJava is the oldest Java that Kafka 4 runs on.
const minJava = 17

func findJava() (testjava.JDK, error) {
	j, err := testjava.Default()
	return testjava.AtLeast(j, err, minJava, "Kafka")
}

// Available says whether Kafka can be run here: nil, or an error that names what is missing. Maven is missed only while the jars are not
// cached yet.
func Available() error {
	_, err := findJava()
	dir, _ := artifacts().Folder() // without a folder nothing is cached
	return testjava.Missing(err, dir)
}

// Require ends the test when Kafka cannot be run here: it fails where the environment says CI=true, and skips with a loud message
// elsewhere, so that a missing JVM never looks like a passed test.
func Require(t testing.TB) {
	t.Helper()
	testjava.Require(t, Available(), "This test runs against real Apache Kafka and needs",
		fmt.Sprintf("Java %d or newer (JAVA_HOME or PATH) and Maven (mvn).", minJava))
}

// Java is the java program that runs Kafka, for running other Java programs beside it.
func Java() (string, error) {
	java, err := findJava()
	return java.Bin, err
}
