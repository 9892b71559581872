package discovery

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxAttribute is the maximum size of a file, in bytes. A sysfs attribute has at
// most a page.
const maxAttribute = 64 << 10

// readAttribute reads a sysfs attribute without the space around it; a missing
// one is "".
func readAttribute(dir, name string) (string, error) {
	var page [512]byte // most have less than ten bytes
	text, err := readFile(dir+"/"+name, page[:])
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read %s of %s: %w", name, dir, err)
	}
	return string(bytes.TrimSpace(text)), nil
}

// readFile reads a file into page, and grows that for a longer file. It calls the
// kernel itself: files of sysfs can be polled, so that os.ReadFile waits for ever
// for one whose driver answers EAGAIN, as some do (prometheus/procfs reads sysfs
// in the same way). It also needs fewer than half the system calls, and no buffer
// of 5 kB; a scrape reads hundreds of files.
//
// A read that does not fill the buffer has reached the end.
func readFile(path string, page []byte) ([]byte, error) {
	fd, err := uninterrupted(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	length := 0
	for {
		n, err := uninterrupted(func() (int, error) { return unix.Read(fd, page[length:]) })
		switch length += max(n, 0); {
		case err != nil:
			return nil, err
		case length < len(page):
			return page[:length], nil
		case length > maxAttribute:
			return nil, fmt.Errorf("file is longer than %d bytes", maxAttribute)
		}
		page = append(page, make([]byte, len(page))...)
	}
}

// uninterrupted repeats a call that a signal interrupted, as those of Go's
// scheduler do.
func uninterrupted(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// readNumber reads an attribute that is a whole number, as decimal or 0x….
// known is false for one that is missing.
func readNumber(dir, name string) (value int64, known bool, err error) {
	text, err := readAttribute(dir, name)
	if err != nil || text == "" {
		return 0, false, err
	}
	if value, err = strconv.ParseInt(text, 0, 64); err != nil {
		return 0, false, fmt.Errorf("read %s of %s: %.40q is not a number", name, dir, text)
	}
	return value, true, nil
}

// readUevent reads a device's uevent attribute as its keys and values.
func readUevent(dir string) (map[string]string, error) {
	text, err := readAttribute(dir, "uevent")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			out[key] = value
		}
	}
	return out, nil
}

// readLink returns the base name of a link's target; "" when there is no such
// link.
func readLink(dir, name string) (string, error) {
	target, err := os.Readlink(filepath.Join(dir, name))
	switch {
	case err == nil:
		return filepath.Base(target), nil
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	default:
		return "", fmt.Errorf("read %s of %s: %w", name, dir, err)
	}
}

// list returns the names in a directory that match, in order; none when there
// is no such directory.
func list(dir string, match *regexp.Regexp) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var out []string
	for _, e := range entries {
		if match.MatchString(e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out, nil
}
