package testjava

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// CacheVariable names the environment variable that moves the folder of what Maven has fetched. Default: kafkarest in the user's cache
// folder.
const CacheVariable = "TESTKAFKA_CACHE"

// Artifacts are what a pom.xml asks Maven for.
type Artifacts struct {
	Name string // of the folder in the cache, before the hash of the pom.xml; also for error texts
	Pom  []byte
	Goal string // of the dependency plugin: copy-dependencies or unpack-dependencies
}

// Folder is where they belong, there or not. Another pom.xml has another folder.
func (a Artifacts) Folder() (string, error) {
	root := os.Getenv(CacheVariable)
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder for %s (set %s): %w", a.Name, CacheVariable, err)
		}
		root = filepath.Join(cache, "kafkarest")
	}
	return filepath.Join(root, a.Name+"-"+ShortHash(a.Pom)), nil
}

// ShortHash tells contents apart in the name of a file.
func ShortHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// Has says whether a folder of Artifacts is complete. It is renamed into place as a whole, so that it exists is enough.
func Has(dir string) bool {
	if dir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, "lib"))
	return err == nil
}

// Fetch makes sure that they are cached, in the folder lib of the folder that it gives. Of several processes that miss them at once one
// downloads and the others wait for it. Only ctx sets a limit.
func (a Artifacts) Fetch(ctx context.Context) (string, error) {
	dir, err := a.Folder()
	if err != nil || Has(dir) {
		return dir, err
	}
	unlock, err := Lock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if Has(dir) {
		return dir, nil
	}
	return dir, a.download(ctx, dir)
}

// download runs Maven into a neighbouring folder and renames that, so that a broken download is never taken for a whole one.
func (a Artifacts) download(ctx context.Context, dir string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // it has its name by then, if all went well
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	file := filepath.Join(tmp, "pom.xml")
	if err := os.WriteFile(file, a.Pom, 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", file, "dependency:"+a.Goal, "-DoutputDirectory="+filepath.Join(tmp, "lib"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn cannot fetch %s: %w\n%s", a.Name, err, LastLines(string(out), 20))
	}
	return os.Rename(tmp, dir)
}

// Lock holds path against other processes, and other callers in this one, until unlock is called.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
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

// LastLines gives at most the last n lines of text.
func LastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
