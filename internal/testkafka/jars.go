package testkafka

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"kafkarest/internal/testjava"
)

//go:embed kafka/pom.xml
var pom []byte

var pomVersion = regexp.MustCompile(`<kafka\.version>([^<]+)</kafka\.version>`)

// Version is the version of Apache Kafka that Start runs, such as "4.3.1".
func Version() string {
	m := pomVersion.FindSubmatch(pom)
	if m == nil {
		return "unknown"
	}
	return string(m[1])
}

// artifacts are the jars of Kafka.
func artifacts() testjava.Artifacts {
	return testjava.Artifacts{Name: "kafka", Pom: pom, Goal: "copy-dependencies"}
}

// Classpath returns Kafka's class path, its client library included, for running a Java program against the cluster. It downloads the jars
// if they are not cached.
func Classpath(ctx context.Context) (string, error) {
	dir, err := artifacts().Fetch(ctx)
	if err != nil {
		return "", err
	}
	return classpath(dir)
}

// classpath lists each jar instead of "lib/*": the JVM takes a class archive only with the very class path it was made with, and the
// order in which the JVM expands a star is that of the file system.
func classpath(dir string) (string, error) {
	jars, err := filepath.Glob(filepath.Join(dir, "lib", "*.jar"))
	if err != nil {
		return "", err
	}
	if len(jars) == 0 {
		return "", fmt.Errorf("no jars in %s: remove the folder to fetch them again", dir)
	}
	slices.Sort(jars)
	return strings.Join(jars, string(os.PathListSeparator)), nil
}
