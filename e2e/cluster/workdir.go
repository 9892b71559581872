package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// prefix starts the name of every work directory. It is short because unix
// sockets below it may have 107 bytes in all.
const prefix = "heteroaccel-"

// WorkDir makes a directory below that for temporary files, for a program that is no
// cluster of this package, and removes those of programs that were killed. It is in use
// for as long as the returned file is open, and to be removed before that is closed.
func WorkDir() (string, *os.File, error) {
	sweep(os.TempDir())
	return workDir(os.TempDir())
}

// workDir makes a fresh directory in parent, readable by this user alone, with
// a lock file that is locked for as long as the returned file is open.
func workDir(parent string) (string, *os.File, error) {
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return "", nil, fmt.Errorf("make the cluster's directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, fmt.Errorf("make the cluster's directory: %w", err)
	}
	if _, err := tryLock(lock); err != nil {
		lock.Close()
		return "", nil, err
	}
	return dir, lock, nil
}

// sweep removes the work directories in parent of programs that were killed:
// those whose lock nobody holds, and empty ones, which were killed before they had any.
// One that was kept on purpose has files, and no lock. What cannot be removed stays for another time: it does no harm.
func sweep(parent string) {
	dirs, err := filepath.Glob(filepath.Join(parent, prefix+"[0-9]*"))
	if err != nil {
		return // the pattern would be malformed, and then nothing is swept
	}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && info.IsDir() && time.Since(info.ModTime()) > time.Minute {
			_ = os.Remove(dir) // only if it is empty
		}
	}
	locks, err := filepath.Glob(filepath.Join(parent, prefix+"*", "lock"))
	if err != nil {
		return // as above
	}
	for _, path := range locks {
		// A directory may be so new that its owner has no lock yet.
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		lock, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue // another user's, or just removed
		}
		if free, err := tryLock(lock); err == nil && free {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		lock.Close()
	}
}
