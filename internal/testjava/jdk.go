package testjava

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

// JDK is one Java of the machine.
type JDK struct {
	Bin     string // the java program
	Version string // all that `java -version` says: it tells builds apart
	Major   int    // 17 of "17.0.15"
}

// Default is the Java that a shell would run. JAVA_HOME comes before PATH, as in Kafka's own scripts. It is looked for once.
var Default = sync.OnceValues(func() (JDK, error) {
	bin, err := lookJava()
	if err != nil {
		return JDK{}, err
	}
	return probe(bin)
})

func lookJava() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return exec.LookPath(filepath.Join(home, "bin", "java"))
	}
	return exec.LookPath("java")
}

// folders are where Linux distributions, macOS and SDKMAN put JDKs.
var folders = []string{
	"/usr/lib/jvm/*/bin/java", "/opt/*/bin/java", "/usr/java/*/bin/java",
	"/Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java", "${HOME}/.sdkman/candidates/java/*/bin/java",
}

// Newest is the newest Java that is installed, the default one or another. It is looked for once.
var Newest = sync.OnceValues(func() (JDK, error) {
	best, err := Default()
	for _, pattern := range folders {
		found, _ := filepath.Glob(os.ExpandEnv(pattern)) // the patterns are well formed
		for _, bin := range found {
			if j, probeErr := probe(bin); probeErr == nil && j.Major > best.Major {
				best, err = j, nil
			}
		}
	}
	return best, err
})

func probe(bin string) (JDK, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, bin, "-version").CombinedOutput()
	if err != nil {
		return JDK{}, fmt.Errorf("%s -version: %w", bin, err)
	}
	major, err := majorOf(string(out))
	return JDK{Bin: bin, Version: string(out), Major: major}, err
}

var versionLine = regexp.MustCompile(`version "(?:1\.)?(\d+)`)

// majorOf reads the major version from the output of `java -version`: 17 of "17.0.15", 8 of "1.8.0_392".
func majorOf(out string) (int, error) {
	m := versionLine.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("no version in the output of java -version: %q", out)
	}
	return strconv.Atoi(m[1])
}

// AtLeast fails for a Java that is too old for a program; it passes on the error of the search.
func AtLeast(j JDK, err error, major int, program string) (JDK, error) {
	if err == nil && j.Major < major {
		return JDK{}, fmt.Errorf("%s is Java %d, and %s needs %d or newer", j.Bin, j.Major, program, major)
	}
	return j, err
}

// Missing joins why a program cannot be run with the lack of Maven, which is missed only while dir, the folder of what it fetches, is not
// there yet. nil means that nothing is missing.
func Missing(java error, dir string) error {
	if Has(dir) {
		return java
	}
	_, maven := exec.LookPath("mvn")
	return errors.Join(java, maven)
}

// Require ends the test when missing is an error: it fails where the environment says CI=true, and skips with a loud message elsewhere, so
// that a missing JVM never looks like a passed test. needs is what the test runs against and what that needs, each line of at most 60
// characters.
func Require(t testing.TB, missing error, needs ...string) {
	t.Helper()
	if missing == nil {
		return
	}
	text := "NOT TESTED: " + t.Name()
	for _, line := range append(needs, missing.Error()) {
		text += "\n  *  " + line
	}
	const frame = "\n  ******************************************************************"
	end := t.Skipf
	if os.Getenv("CI") == "true" {
		end = t.Fatalf
	}
	end("%s\n  *  %s%s", frame, text, frame)
}
