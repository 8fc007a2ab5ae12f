package testkafka

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"kafkarest/internal/testjava"
)

// classArchive returns the file of the parsed and checked classes that a broker loads (the JVM's class data sharing), made for this very
// Java and class path. With it a node starts in half of the time and CPU. It is made by running a throw-away node once. When that fails,
// the answer is "" and Kafka is merely slower to start; the JVM itself passes over an archive that does not fit.
func classArchive(ctx context.Context, j jvm, dir, javaVersion string) string {
	path := filepath.Join(dir, "classes-"+testjava.ShortHash([]byte(javaVersion+j.classpath))+".jsa")
	if exists(path) {
		return path
	}
	unlock, err := testjava.Lock(ctx, dir+".lock")
	if err != nil {
		return ""
	}
	defer unlock()
	if exists(path) || recordClasses(ctx, j, path) == nil {
		return path
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// recordClasses starts a node that writes the archive when it exits in order, and stops it.
func recordClasses(ctx context.Context, j jvm, path string) error {
	ctx, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	tmp := path + ".tmp"
	defer func() { _ = os.Remove(tmp) }() // it has its name by then, if all went well
	c, err := startOnFreePorts(ctx, j, Config{}, "-XX:ArchiveClassesAtExit="+tmp)
	if err != nil {
		return err
	}
	err = c.nodes[0].Terminate(ctx)
	if err := errors.Join(err, c.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
