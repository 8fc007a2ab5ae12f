package testkafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// minJava is the oldest Java that Kafka 4 runs on.
const minJava = 17

// javaRuntime is what the machine offers: the java program, and what `java -version` says of it.
type javaRuntime struct {
	bin     string
	version string // the whole output: it tells builds apart, which matters for the class archive
}

var findJava = sync.OnceValues(func() (javaRuntime, error) {
	bin, err := lookJava()
	if err != nil {
		return javaRuntime{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, bin, "-version").CombinedOutput()
	if err != nil {
		return javaRuntime{}, fmt.Errorf("%s -version: %w", bin, err)
	}
	major, err := javaMajor(string(out))
	if err != nil {
		return javaRuntime{}, err
	}
	if major < minJava {
		return javaRuntime{}, fmt.Errorf("%s is Java %d, and Kafka needs %d or newer", bin, major, minJava)
	}
	return javaRuntime{bin: bin, version: string(out)}, nil
})

// lookJava prefers JAVA_HOME to PATH, as Kafka's own scripts do.
func lookJava() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return exec.LookPath(filepath.Join(home, "bin", "java"))
	}
	return exec.LookPath("java")
}

var javaVersionLine = regexp.MustCompile(`version "(?:1\.)?(\d+)`)

// javaMajor reads the major version from the output of `java -version`: 17 of "17.0.15", 8 of "1.8.0_392".
func javaMajor(out string) (int, error) {
	m := javaVersionLine.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("no version in the output of java -version: %q", out)
	}
	return strconv.Atoi(m[1])
}

// Available says whether Kafka can be run here: nil, or an error that names what is missing. Maven is missed only while the jars are not
// cached yet.
func Available() error {
	_, err := findJava()
	if dir, dirErr := jarFolder(); dirErr == nil && hasJars(dir) {
		return err
	}
	_, mvnErr := exec.LookPath("mvn")
	return errors.Join(err, mvnErr)
}

// Require ends the test when Kafka cannot be run here: it fails where the environment says CI=true, and skips with a loud message
// elsewhere, so that a missing JVM never looks like a passed test.
func Require(t testing.TB) {
	t.Helper()
	err := Available()
	if err == nil {
		return
	}
	const message = "\n" +
		"  ******************************************************************\n" +
		"  *  NOT TESTED: %s\n" +
		"  *  This test runs against real Apache Kafka and needs\n" +
		"  *  Java %d or newer (JAVA_HOME or PATH) and Maven (mvn).\n" +
		"  *  %v\n" +
		"  ******************************************************************"
	end := t.Skipf
	if os.Getenv("CI") == "true" {
		end = t.Fatalf
	}
	end(message, t.Name(), minJava, err)
}

// Java is the java program that runs Kafka, for running other Java programs beside it.
func Java() (string, error) {
	java, err := findJava()
	return java.bin, err
}
