package mutate

import "slices"

// list is one of the two lists of a command line, and what was done to it.
type list struct {
	words    []string
	owned    bool // words is a copy, and may be written
	edits    []listEdit
	inserted []int // indices of new words, ascending
	added    int   // words appended at the end
}

// listEdit is an edit of one word of a list.
type listEdit struct {
	Word int `json:"word"`
	edit
}

func (l *list) set(i int, word string, edits ...edit) {
	if !l.owned {
		l.words, l.owned = slices.Clone(l.words), true
	}
	l.words[i] = word
	for _, e := range edits {
		l.edits = append(l.edits, listEdit{Word: i, edit: e})
	}
}

// add appends words.
func (l *list) add(words ...string) {
	l.words, l.owned = append(slices.Clip(l.words), words...), true
	l.added += len(words)
}

// insert puts words before word i. Nothing may have been added yet.
func (l *list) insert(i int, words ...string) {
	l.words, l.owned = slices.Insert(slices.Clone(l.words), i, words...), true
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
