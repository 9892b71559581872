package mutate

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	sealed "heteroaccel.io/pkg/record"
)

// record is what a mutation replaced and added: enough to take it back, and to
// see of each part whether it is still as it was written. It is the content of
// the annotation "original". Every part is absent where nothing changed, so the
// record stays small however large the pod is.
type record struct {
	sealed.Given
	Image    *text       `json:"image,omitempty"`
	Pull     *text       `json:"pull,omitempty"` // when the image is pulled
	Command  *listRecord `json:"command,omitempty"`
	Args     *listRecord `json:"args,omitempty"`
	Limits   amounts     `json:"limits,omitempty"`
	Requests amounts     `json:"requests,omitempty"`
	// Env are the variables that were replaced, as they were; EnvAdded the
	// names of new ones.
	Env      []corev1.EnvVar `json:"env,omitempty"`
	EnvAdded []string        `json:"envAdded,omitempty"`
	// Mounts are mount paths, Volumes names.
	Mounts       []string            `json:"mounts,omitempty"`
	Volumes      []string            `json:"volumes,omitempty"`
	Groups       []int64             `json:"groups,omitempty"`
	Context      bool                `json:"context,omitempty"` // the security context is ours
	NodeSelector map[string]string   `json:"nodeSelector,omitempty"`
	Tolerations  []corev1.Toleration `json:"tolerations,omitempty"`
}

// text is a string before and after.
type text struct {
	Was string `json:"was"`
	Now string `json:"now"`
}

// listRecord is what was done to a command or args: Edits in place, Added words
// at the end. Words is how many there were then, Sum their digest.
type listRecord struct {
	Words int        `json:"words"`
	Sum   string     `json:"sum"`
	Edits []listEdit `json:"edits,omitempty"`
	Added int        `json:"added,omitempty"`
}

// recorded returns what was done to l, or nil.
func (l *list) recorded() *listRecord {
	if len(l.edits) == 0 && l.added == 0 {
		return nil
	}
	return &listRecord{Words: len(l.words), Sum: digest(l.words), Edits: l.edits, Added: l.added}
}

// restore returns words as they were before the mutation, with whatever was
// appended since; ok is false when they are no longer what was written.
func (r *listRecord) restore(words []string) (restored []string, ok bool) {
	if r.Words < 0 || r.Words > len(words) || r.Added < 0 || r.Added > r.Words || digest(words[:r.Words]) != r.Sum {
		return nil, false
	}
	kept := r.Words - r.Added
	restored = append(restored, words[:kept]...)
	for edits := r.Edits; len(edits) > 0; {
		n := 1
		for n < len(edits) && edits[n].Word == edits[0].Word {
			n++
		}
		i := edits[0].Word
		if i < 0 || i >= kept {
			return nil, false
		}
		if restored[i], ok = unedited(words[i], edits[:n]); !ok {
			return nil, false
		}
		edits = edits[n:]
	}
	return append(restored, words[r.Words:]...), true
}

// unedited takes edits, in ascending order, back in s; ok is false when they
// are not edits of s.
func unedited(s string, edits []listEdit) (was string, ok bool) {
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

// digest is a collision-resistant digest of words and where they part.
func digest(words []string) string {
	h := sha256.New()
	for _, w := range words {
		sealed.WritePart(h, w)
	}
	var sum [sha256.Size]byte
	return base64.RawURLEncoding.EncodeToString(h.Sum(sum[:0])[:16])
}

// seal encodes r as the value of the annotation.
// The same record gives the same bytes. The error is a sentence for the person
// who wrote the pod, or says that the key is missing.
func (r *record) seal(key []byte, namespace, reservation string) (string, error) {
	if len(key) == 0 {
		return "", errors.New("seal the record of a mutation: no key")
	}
	content, err := json.Marshal(r) // maps come sorted by key
	if err != nil {
		return "", fmt.Errorf("encode the record of a mutation: %w", err)
	}
	if len(content) > sealed.MaxContent {
		return "", fmt.Errorf("container %q has too many device flags or too large variables to be recorded: the record would be %d KiB and may be %d",
			r.Container, len(content)>>10, sealed.MaxContent>>10)
	}
	return sealed.Seal(string(content), key, namespace, reservation), nil
}

// unseal returns the record that seal encoded; ok is false for anything that
// was not sealed with this key, for this namespace and reservation.
func unseal(original string, key []byte, namespace, reservation string) (r *record, ok bool) {
	content, ok := sealed.Unseal(original, key, namespace, reservation)
	if !ok {
		return nil, false
	}
	r = &record{}
	if err := json.Unmarshal([]byte(content), r); err != nil {
		return nil, false
	}
	return r, true
}
