package live

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// table is the rows of one sort, with when each has changed. Its user locks.
type table[Row any] struct {
	rows map[string]*row[Row]
	// gone are the keys of rows that are gone, the latest last; forgotten is the latest
	// change that is not among them any more.
	gone      []departure
	forgotten uint64
}

type row[Row any] struct {
	value   Row
	encoded []byte // of the whole row
	changed uint64
}

type departure struct {
	key     string
	changed uint64
}

// maxGone bounds the rows that are remembered as gone. Who was away for longer gets
// everything anew.
const maxGone = 20_000

func newTable[Row any]() table[Row] { return table[Row]{rows: map[string]*row[Row]{}} }

// update takes the rows that may have changed, and removes those that are not there any
// more. It reports whether anything has changed.
func (t *table[Row]) update(rows map[string]Row, there func(key string) bool, change uint64) (news bool) {
	for key, r := range rows {
		news = t.set(key, r, change) || news
	}
	for key := range t.rows {
		if !there(key) {
			t.remove(key, change)
			news = true
		}
	}
	return news
}

// set takes a row as it is at a change, and reports whether it is another than before.
func (t *table[Row]) set(key string, r Row, change uint64) bool {
	encoded, err := json.Marshal(r)
	if err != nil {
		return false // numbers and texts can be encoded
	}
	if old := t.rows[key]; old != nil && bytes.Equal(old.encoded, encoded) {
		return false
	}
	t.rows[key] = &row[Row]{r, encoded, change}
	return true
}

// remove takes it that a row is gone since a change.
func (t *table[Row]) remove(key string, change uint64) {
	delete(t.rows, key)
	t.gone = append(t.gone, departure{key, change})
	if n := len(t.gone) - maxGone; n > 0 {
		t.forgotten = t.gone[n-1].changed
		t.gone = slices.Delete(t.gone, 0, n)
	}
}

// knows reports whether what has gone since a change is known still.
func (t *table[Row]) knows(change uint64) bool { return change >= t.forgotten }

// since is what has changed after a change, as far as shown reports of a key that it is
// to be seen, and as see returns it; nil for nothing.
func (t *table[Row]) since(change uint64, shown func(key string) bool, see func(Row) Row) *Changes[Row] {
	c := &Changes[Row]{}
	for key, r := range t.rows {
		if r.changed > change && shown(key) {
			c.Set = append(c.Set, see(r.value))
		}
	}
	for _, d := range slices.Backward(t.gone) {
		if change == 0 || d.changed <= change {
			break
		}
		if t.rows[d.key] == nil && shown(d.key) {
			c.Delete = append(c.Delete, d.key)
		}
	}
	if len(c.Set) == 0 && len(c.Delete) == 0 {
		return nil
	}
	return c
}

// rounded is a time to five seconds, so that an estimate that hardly moves is no change.
func rounded(t time.Time) *time.Time {
	r := t.Round(5 * time.Second).UTC()
	return &r
}
