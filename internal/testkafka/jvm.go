package testkafka

import (
	"context"
	"fmt"
	"os/exec"

	"kafkarest/internal/testjava"
)

// jvm is how Kafka's programs are run: which java, which class path, which options.
type jvm struct {
	bin        string
	classpath  string
	archive    string // a class archive that spares each start half of its time, or ""
	throughput bool
}

// newJVM finds Java, fetches Kafka and prepares the class archive, all of which cost time only once on a machine.
func newJVM(ctx context.Context) (jvm, error) {
	java, err := findJava()
	if err != nil {
		return jvm{}, err
	}
	dir, err := artifacts().Fetch(ctx)
	if err != nil {
		return jvm{}, err
	}
	cp, err := classpath(dir)
	if err != nil {
		return jvm{}, err
	}
	j := jvm{bin: java.Bin, classpath: cp}
	j.archive = classArchive(ctx, j, dir, java.Version)
	return j, nil
}

// args is the command line for a class of Kafka's. extra are further options of the JVM.
func (j jvm) args(extra []string, class string, args ...string) []string {
	out := []string{
		"-Xmx384m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xlog:disable", "-Djava.awt.headless=true",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
	}
	if !j.throughput {
		out = append(out, "-XX:TieredStopAtLevel=1") // the optimising compiler costs more than it gains within a minute
	}
	if j.archive != "" {
		out = append(out, "-XX:SharedArchiveFile="+j.archive)
	}
	out = append(out, extra...)
	return append(append(out, "-cp", j.classpath, class), args...)
}

// format prepares a node's data folder, as `kafka-storage.sh format` does. quorum are the options that name the first controllers.
func (j jvm) format(ctx context.Context, clusterID, properties string, quorum ...string) error {
	args := append([]string{"format", "--cluster-id", clusterID, "--config", properties}, quorum...)
	cmd := exec.CommandContext(ctx, j.bin, j.args(nil, "kafka.tools.StorageTool", args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format the storage of Kafka: %w\n%s", err, testjava.LastLines(string(out), 20))
	}
	return nil
}
