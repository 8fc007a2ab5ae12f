package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	lockName   = "kafka-rest.lock"
	tempPrefix = "kafka-rest-embedded-"
)

// errLocked is what lockFile answers when another process, or another broker of this one, holds the lock.
var errLocked = errors.New("in use by another broker")

// dataDir is a data folder that this process has to itself.
type dataDir struct {
	path string
	temp bool
	lock *os.File
}

// openDataDir makes and locks a data folder, or a temporary one if path is empty.
func openDataDir(path string) (*dataDir, error) {
	if path == "" {
		return openTempDir()
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	lock, err := lockDir(path)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: data folder %s: %w", path, err)
	}
	return &dataDir{path: path, lock: lock}, nil
}

func openTempDir() (*dataDir, error) {
	removeAbandoned()
	path, err := os.MkdirTemp("", tempPrefix)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	lock, err := lockDir(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded broker: temporary folder %s: %w", path, err), removeAll(path))
	}
	return &dataDir{path: path, temp: true, lock: lock}, nil
}

// removeAbandoned removes the temporary folders of processes that were killed: a gigabyte each, in the worst case. One is abandoned
// if it has kfake's meta.json, which is written after the lock is taken, and the lock is free. Failures do not matter here.
func removeAbandoned() {
	paths, _ := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*"))
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(path, "meta.json")); err != nil {
			continue
		}
		if lock, err := lockDir(path); err == nil {
			_ = (&dataDir{path: path, temp: true, lock: lock}).close()
		}
	}
}

func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// close gives the folder up. A temporary one is removed; its lock file must be closed first where open files cannot be removed.
func (d *dataDir) close() error {
	err := d.lock.Close()
	if d.temp {
		err = errors.Join(err, removeAll(d.path))
	}
	return err
}
