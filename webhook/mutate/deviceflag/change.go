package deviceflag

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"heteroaccel.io/pkg/record"
)

// List is one of the two lists of a command line, command or args, and how it
// was changed.
type List struct {
	Words    []string
	owned    bool // Words is a copy, and may be written
	edits    []wordEdit
	inserted []int // indices of new words, ascending
	added    int   // words appended at the end
}

// wordEdit is an edit within one word of a list.
type wordEdit struct {
	Word int `json:"word"`
	edit
}

func (l *List) set(i int, word string, edits ...edit) {
	if !l.owned {
		l.Words, l.owned = slices.Clone(l.Words), true
	}
	l.Words[i] = word
	for _, e := range edits {
		l.edits = append(l.edits, wordEdit{Word: i, edit: e})
	}
}

// add appends words.
func (l *List) add(words ...string) {
	l.Words, l.owned = append(slices.Clip(l.Words), words...), true
	l.added += len(words)
}

// insert puts words before word i. Nothing may have been added yet.
func (l *List) insert(i int, words ...string) {
	l.Words, l.owned = slices.Insert(slices.Clone(l.Words), i, words...), true
	for k := range l.edits {
		if l.edits[k].Word >= i {
			l.edits[k].Word += len(words)
		}
	}
	for k := range l.inserted {
		if l.inserted[k] >= i {
			l.inserted[k] += len(words)
		}
	}
	for n := range words {
		l.inserted = append(l.inserted, i+n)
	}
	slices.Sort(l.inserted)
}

// Change is how a command or args was changed: Edits in place, Added words at
// the end. Words is how many there were afterwards, Sum their digest.
type Change struct {
	Words int        `json:"words"`
	Sum   string     `json:"sum"`
	Edits []wordEdit `json:"edits,omitempty"`
	// Inserted are the indices of words that were put between others,
	// ascending.
	Inserted []int `json:"inserted,omitempty"`
	Added    int   `json:"added,omitempty"`
}

// Change is how l was changed, nil if it was not.
func (l *List) Change() *Change {
	if len(l.edits)+len(l.inserted)+l.added == 0 {
		return nil
	}
	return &Change{Words: len(l.Words), Sum: digest(l.Words), Edits: l.edits, Inserted: l.inserted, Added: l.added}
}

// Undo returns words as they were before the change, with whatever was appended
// since; ok is false when they are no longer what was written.
func (r *Change) Undo(words []string) (restored []string, ok bool) {
	if r.Words < 0 || r.Words > len(words) || r.Added < 0 || r.Added > r.Words || digest(words[:r.Words]) != r.Sum {
		return nil, false
	}
	kept := r.Words - r.Added
	out := slices.Clone(words[:kept])
	for edits := r.Edits; len(edits) > 0; {
		n := 1
		for n < len(edits) && edits[n].Word == edits[0].Word {
			n++
		}
		i := edits[0].Word
		if i < 0 || i >= kept {
			return nil, false
		}
		if out[i], ok = unedited(words[i], edits[:n]); !ok {
			return nil, false
		}
		edits = edits[n:]
	}
	inserted := r.Inserted
	for i, w := range out {
		if len(inserted) > 0 && inserted[0] == i {
			inserted = inserted[1:]
			continue
		}
		restored = append(restored, w)
	}
	return append(restored, words[r.Words:]...), len(inserted) == 0
}

// unedited is s before edits, which are in ascending order; ok is false when they
// are not edits of s.
func unedited(s string, edits []wordEdit) (was string, ok bool) {
	var b strings.Builder
	at := 0
	for _, e := range edits {
		if e.At < at || e.Len < 0 || e.At > len(s)-e.Len {
			return "", false
		}
		b.WriteString(s[at:e.At])
		b.WriteString(e.Was)
		at = e.At + e.Len
	}
	b.WriteString(s[at:])
	return b.String(), true
}

// digest is a collision-resistant digest of words and of where each ends.
func digest(words []string) string {
	h := sha256.New()
	for _, w := range words {
		record.WritePart(h, w)
	}
	var sum [sha256.Size]byte
	return base64.RawURLEncoding.EncodeToString(h.Sum(sum[:0])[:16])
}
