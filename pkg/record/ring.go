package record

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// MaxKeys bounds the keys that count: the newest of them.
const MaxKeys = 8

// minKey and maxKey bound the length of a key, in bytes: the output and the block
// of SHA-256.
const minKey, maxKey = 32, 64

// Settle is how long a new key is known before it seals. Every program reads the
// keys three times meanwhile, so that no record is of a key that one of them does
// not have.
const Settle = 30 * time.Second

// Ring is the keys as they are stored, by name, and since when each is known. The
// zero value has none. It is not safe for concurrent use.
type Ring struct {
	stored map[string][]byte // those that count
	since  map[string]time.Time
	names  map[string]string
}

// Set takes what is stored now: keys by name, of which the last in order is the
// newest. Fields that hold no key are left out and named by the error, which is a
// sentence that says what is wrong; if none holds one, the keys stay as they were.
func (r *Ring) Set(stored map[string][]byte, now time.Time) error {
	valid := map[string][]byte{}
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if n := len(stored[name]); n < minKey || n > maxKey {
			wrong = append(wrong, fmt.Sprintf("%q has %d bytes", name, n))
			continue
		}
		valid[name] = stored[name]
	}
	var err error
	if len(wrong) > 0 {
		err = fmt.Errorf("a key has %d to %d bytes, and %s", minKey, maxKey, strings.Join(wrong[:min(len(wrong), MaxKeys)], ", "))
	} else if len(valid) == 0 {
		err = errors.New("it has no key")
	}
	if len(valid) == 0 {
		return err
	}
	names := slices.Sorted(maps.Keys(valid))
	if extra := len(names) - MaxKeys; extra > 0 {
		for _, name := range names[:extra] {
			delete(valid, name)
		}
		err = fmt.Errorf("it has %d keys, and the newest %d count: remove the oldest", len(names), MaxKeys)
	}
	r.stored, r.names = valid, make(map[string]string, len(valid))
	since := make(map[string]time.Time, len(valid))
	for name, secret := range valid {
		id := ID(secret)
		r.names[id], since[id] = name, now
		if before, known := r.since[id]; known {
			since[id] = before
		}
	}
	r.since = since
	return err
}

// Keys are the keys that verify, and the one that seals: the newest that has been
// known for Settle. While none has, as after a start, it is the one before the
// newest, which is what other programs seal with. nil while there is none.
func (r *Ring) Keys(now time.Time) *Keys {
	names := slices.Sorted(maps.Keys(r.stored))
	if len(names) == 0 {
		return nil
	}
	slices.Reverse(names)
	seals := slices.IndexFunc(names, func(name string) bool { return now.Sub(r.since[ID(r.stored[name])]) >= Settle })
	if seals < 0 {
		seals = min(1, len(names)-1)
	}
	others := make([][]byte, 0, len(names))
	for i, name := range names {
		if i != seals {
			others = append(others, r.stored[name])
		}
	}
	return NewKeys(r.stored[names[seals]], others...)
}

// Stored are the keys that count, by name; nil while there is none.
func (r *Ring) Stored() map[string][]byte { return maps.Clone(r.stored) }

// Name is what the key of an id is called, "" if it is not there.
func (r *Ring) Name(id string) string { return r.names[id] }
