package testregistry

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"kafkarest/internal/testjava"
)

// minJava is the oldest Java that the class files are for.
const minJava = 21

// startDeadline bounds the start once the files are there.
const startDeadline = 2 * time.Minute

// basePath is where Confluent's API lies.
const basePath = "/apis/ccompat/v7"

//go:embed apicurio/pom.xml
var pom []byte

var pomVersion = regexp.MustCompile(`<apicurio\.version>([^<]+)</apicurio\.version>`)

// Version is the version of Apicurio Registry that Start runs, such as "3.3.3".
func Version() string {
	m := pomVersion.FindSubmatch(pom)
	if m == nil {
		return "unknown"
	}
	return string(m[1])
}

func artifacts() testjava.Artifacts {
	return testjava.Artifacts{Name: "apicurio", Pom: pom, Goal: "unpack-dependencies"}
}

func findJava() (testjava.JDK, error) {
	j, err := testjava.Newest()
	return testjava.AtLeast(j, err, minJava, "Apicurio Registry")
}

// Available says whether the registry can be run here: nil, or an error that names what is missing.
func Available() error {
	_, err := findJava()
	dir, _ := artifacts().Folder() // without a folder nothing is cached
	return testjava.Missing(err, dir)
}

// Require ends the test when the registry cannot be run here: it fails where the environment says CI=true, and skips with a loud message
// elsewhere.
func Require(t testing.TB) {
	t.Helper()
	testjava.Require(t, Available(), "This test runs against a real Schema Registry and needs",
		fmt.Sprintf("Java %d or newer (any that is installed) and Maven (mvn).", minJava))
}

// Registry is a running registry. Its methods may be called from several goroutines.
type Registry struct {
	process *testjava.Process
	dir     string
	url     string
}

// Start runs a registry and returns when it answers, or with an error that shows the end of its log. The first call on a machine downloads
// it, for which only ctx sets a limit; the start itself is bounded at 2 minutes.
func Start(ctx context.Context) (*Registry, error) {
	java, err := findJava()
	if err != nil {
		return nil, err
	}
	files, err := artifacts().Fetch(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	r := &Registry{}
	if r.dir, err = os.MkdirTemp("", fmt.Sprintf("testregistry-%d-", os.Getpid())); err != nil {
		return nil, err
	}
	if r.process, err = testjava.Start(r.log(), java.Bin, r.args(files)...); err != nil {
		return nil, errors.Join(err, os.RemoveAll(r.dir))
	}
	if err := r.await(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// args keep every port on loopback and its number free to choose: the log tells it.
func (r *Registry) args(files string) []string {
	return []string{
		"-Xmx384m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true", "-Djava.io.tmpdir=" + r.dir,
		"-Dapicurio.import.work-dir=" + r.dir,
		"-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.port=0",
		"-Dquarkus.management.host=127.0.0.1", "-Dquarkus.management.port=0",
		"-Dquarkus.http.access-log.enabled=false",
		"-jar", filepath.Join(files, "lib", "quarkus-run.jar"),
	}
}

func (r *Registry) log() string { return filepath.Join(r.dir, "registry.log") }

var listening = regexp.MustCompile(`Listening on: (http://127\.0\.0\.1:\d+)`)

// await waits until the log tells the port and the API answers there.
func (r *Registry) await(ctx context.Context) error {
	for {
		text, err := os.ReadFile(r.log())
		if m := listening.FindSubmatch(text); m != nil {
			r.url = string(m[1]) + basePath
			err = r.answers(ctx)
			if err == nil {
				return nil
			}
		}
		select {
		case <-r.process.Done():
			return fmt.Errorf("the registry has exited\n--- end of its log ---\n%s", testjava.LastLines(string(text), 40))
		case <-ctx.Done():
			return fmt.Errorf("the registry is not ready: %w, %w\n--- end of its log ---\n%s", ctx.Err(), err, testjava.LastLines(string(text), 40))
		case <-time.After(25 * time.Millisecond):
		}
	}
}

func (r *Registry) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/subjects", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the registry answers with status %d", resp.StatusCode)
	}
	return nil
}

// URL is what schema.registry.url takes: the root of Confluent's API, without a slash at its end.
func (r *Registry) URL() string { return r.url }

// PID is the registry's process id.
func (r *Registry) PID() int { return r.process.PID() }

// Pause freezes the registry (SIGSTOP): it accepts connections and answers nothing.
func (r *Registry) Pause() error { return r.process.Signal(syscall.SIGSTOP) }

// Resume lets a paused registry go on (SIGCONT).
func (r *Registry) Resume() error { return r.process.Signal(syscall.SIGCONT) }

// Close kills the registry, a paused one too, waits until it has gone, and removes what it has written. It may be called again.
func (r *Registry) Close() error {
	return errors.Join(r.process.Kill(), os.RemoveAll(r.dir))
}
