package record

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRing follows the Secret over time: which key seals, and what is wrong.
func TestRing(t *testing.T) {
	start := time.Unix(1e9, 0)
	const before, settled = Settle - time.Nanosecond, Settle
	type fields = map[string][]byte
	many := fields{}
	for i := range MaxKeys + 2 {
		many[fmt.Sprintf("key-%02d", i)] = secretOf(byte(i))
	}
	type step struct {
		after  time.Duration // since the start
		stored fields
		seals  byte   // the key, 0 for none
		knows  []byte // the others
		err    string // part of it
	}
	one := fields{"key-1": secretOf(1)}
	two := fields{"key-1": secretOf(1), "key-2": secretOf(2)}
	for name, steps := range map[string][]step{
		"the first key seals at once": {{0, one, 1, nil, ""}},
		"a new key seals once all programs had time to read it": {
			{0, one, 1, nil, ""}, {time.Hour, two, 1, []byte{2}, ""},
			{time.Hour + before, two, 1, []byte{2}, ""}, {time.Hour + settled, two, 2, []byte{1}, ""}},
		"after a start the one before the newest seals": {{0, two, 1, []byte{2}, ""}, {settled, two, 2, []byte{1}, ""}},
		"two rotations at once": {
			{0, one, 1, nil, ""}, {settled, fields{"key-1": secretOf(1), "key-2": secretOf(2), "key-3": secretOf(3)}, 1, []byte{2, 3}, ""}},
		"the old key is removed":     {{0, two, 1, []byte{2}, ""}, {settled, fields{"key-2": secretOf(2)}, 2, nil, ""}},
		"the new key is removed":     {{0, two, 1, []byte{2}, ""}, {settled, two, 2, []byte{1}, ""}, {settled, one, 1, nil, ""}},
		"the sealing key is renamed": {{0, one, 1, nil, ""}, {settled, fields{"key-9": secretOf(1)}, 1, nil, ""}},
		"replaced by another":        {{0, one, 1, nil, ""}, {settled, fields{"key-1": secretOf(2)}, 2, nil, ""}},
		"nothing":                    {{0, nil, 0, nil, "it has no key"}},
		"emptied":                    {{0, one, 1, nil, ""}, {settled, fields{}, 1, nil, "it has no key"}},
		"too short":                  {{0, fields{"key-1": secretOf(1)[:31]}, 0, nil, `a key has 32 to 64 bytes, and "key-1" has 31 bytes`}},
		"garbage over a key": {{0, one, 1, nil, ""}, {settled, fields{"key-1": []byte("x")}, 1, nil, `"key-1" has 1 bytes`},
			{2 * settled, one, 1, nil, ""}},
		"garbage beside a key": {{0, fields{"key-1": secretOf(1), "key-2": {}}, 1, nil, `"key-2" has 0 bytes`}},
		"too long":             {{0, fields{"key-1": []byte(strings.Repeat("x", 65))}, 0, nil, `has 65 bytes`}},
		"too many":             {{settled, many, MaxKeys, []byte{MaxKeys + 1, 2}, "it has 10 keys, and the newest 8 count"}},
	} {
		t.Run(name, func(t *testing.T) {
			var r Ring
			for i, s := range steps {
				now := start.Add(s.after)
				err := r.Set(s.stored, now)
				if (err == nil) != (s.err == "") || err != nil && !strings.Contains(err.Error(), s.err) {
					t.Errorf("step %d: error %v, want one with %q", i, err, s.err)
				}
				keys, want := r.Keys(now), ""
				if s.seals != 0 {
					want = ID(secretOf(s.seals))
				}
				if keys.Sealing() != want {
					t.Errorf("step %d: %q seals, want %q", i, r.Name(keys.Sealing()), r.Name(want))
				}
				for _, b := range s.knows {
					if !keys.Has(ID(secretOf(b))) {
						t.Errorf("step %d: key %d does not verify", i, b)
					}
				}
				if keys != nil && len(keys.all) > MaxKeys || len(s.knows) < 2 && keys != nil && len(keys.all) != 1+len(s.knows) {
					t.Errorf("step %d: %d keys", i, len(keys.all))
				}
			}
		})
	}
}
