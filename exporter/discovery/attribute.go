package discovery

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// longest bounds what is read of one file, in bytes. An attribute of sysfs has
// a page at most.
const longest = 64 << 10

// readAttribute reads a sysfs attribute without the space around it; one that
// is missing is "".
func readAttribute(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s of %s: %w", name, dir, err)
	}
	defer f.Close()
	var page [512]byte // most have less than ten bytes
	text := page[:0]
	for {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := f.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case errors.Is(err, io.EOF):
			return strings.TrimSpace(string(text)), nil
		case err != nil:
			return "", fmt.Errorf("read %s of %s: %w", name, dir, err)
		case len(text) > longest:
			return "", fmt.Errorf("read %s of %s: it is longer than %d bytes", name, dir, longest)
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

// readLink returns the base name of what a link leads to; "" when there is no
// such link.
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
