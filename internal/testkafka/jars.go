package testkafka

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// CacheVariable names the environment variable that moves the folder of the cached jars. Default: kafkarest in the user's cache folder.
const CacheVariable = "TESTKAFKA_CACHE"

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

// jarFolder is where the jars of this pom.xml belong, there or not.
func jarFolder() (string, error) {
	root := os.Getenv(CacheVariable)
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder for the jars of Kafka (set %s): %w", CacheVariable, err)
		}
		root = filepath.Join(cache, "kafkarest")
	}
	return filepath.Join(root, "kafka-"+shortHash(pom)), nil
}

func shortHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// hasJars says whether the folder is complete. It is renamed into place as a whole, so that it exists is enough.
func hasJars(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "lib"))
	return err == nil
}

// Classpath returns Kafka's class path, its client library included, for running a Java program against the cluster. It downloads the jars
// if they are not cached.
func Classpath(ctx context.Context) (string, error) {
	dir, err := fetchJars(ctx)
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

// fetchJars makes sure that the jars are cached and returns their folder. Of several processes that miss them at once one downloads and
// the others wait for it.
func fetchJars(ctx context.Context) (string, error) {
	dir, err := jarFolder()
	if err != nil || hasJars(dir) {
		return dir, err
	}
	unlock, err := lock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if hasJars(dir) {
		return dir, nil
	}
	return dir, download(ctx, dir)
}

// download runs Maven into a neighbouring folder and renames that, so that a broken download is never taken for a whole one.
func download(ctx context.Context, dir string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // it has its name by then, if all went well
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	file := filepath.Join(tmp, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", file, "dependency:copy-dependencies",
		"-DoutputDirectory="+filepath.Join(tmp, "lib"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn cannot fetch Kafka %s: %w\n%s", Version(), err, lastLines(string(out), 20))
	}
	return os.Rename(tmp, dir)
}

// lock holds path against other processes, and other callers in this one, until unlock is called.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing the only descriptor of an open file gives up its lock
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for the lock %s: %w", path, ctx.Err()), f.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// lastLines returns at most the last n lines of text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
