package record

import (
	"bytes"
	"strings"
	"testing"
)

func secretOf(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// TestRotation: what an earlier key sealed verifies as long as that key is there, and
// what is sealed anew is of the new key.
func TestRotation(t *testing.T) {
	before := NewKeys(secretOf(1))
	rotated := NewKeys(secretOf(2), secretOf(1))
	after := NewKeys(secretOf(2))
	old, renewed := Seal("content", before, "shop", "r"), Seal("content", rotated, "shop", "r")
	if id, ok := KeyOf(renewed); !ok || id != ID(secretOf(2)) || id != rotated.Sealing() {
		t.Errorf("%q is of key %q, want %q", renewed, id, ID(secretOf(2)))
	}
	for name, tt := range map[string]struct {
		sealed string
		keys   *Keys
		want   bool
	}{
		"earlier, before":           {old, before, true},
		"earlier, meanwhile":        {old, rotated, true},
		"earlier, its key removed":  {old, after, false},
		"new, before it is known":   {renewed, before, false},
		"new":                       {renewed, rotated, true},
		"new, alone":                {renewed, after, true},
		"no keys":                   {old, nil, false},
		"of an id, with no content": {before.Sealing() + ".", before, false},
		"the id of another key":     {rotated.Sealing() + old[strings.Index(old, "."):], rotated, false},
		"without an id":             {old[strings.Index(old, ".")+1:], before, false},
	} {
		if got, ok := Unseal(tt.sealed, tt.keys, "shop", "r"); ok != tt.want || ok && got != "content" {
			t.Errorf("%s: %q, %v, want %v", name, got, ok, tt.want)
		}
	}
}

// TestAs: a record can be written again byte for byte, whichever key seals by now.
func TestAs(t *testing.T) {
	before := NewKeys(secretOf(1))
	rotated := NewKeys(secretOf(3), secretOf(2), secretOf(1))
	old := Seal("content", before, "shop", "r")
	as := rotated.As(old, "shop", "r")
	if again := Seal("content", as, "shop", "r"); again != old {
		t.Errorf("sealed again: %q, want %q", again, old)
	}
	if !as.Same(rotated) || rotated.Sealing() != ID(secretOf(3)) {
		t.Error("the keys changed")
	}
	for name, text := range map[string]string{"unknown": Seal("x", NewKeys(secretOf(9)), "shop", "r"), "none": "", "its own": Seal("x", rotated, "shop", "r")} {
		if rotated.As(text, "shop", "r") != rotated {
			t.Errorf("%s: other keys", name)
		}
	}
}

func TestKeyOf(t *testing.T) {
	for text, want := range map[string]string{
		"abcdEF-_.code content":              "abcdEF-_",
		"":                                   "",
		"abcdEF-_":                           "",
		"abcdEF-_ .":                         "",
		"abc.code":                           "",
		"abcdef\x00g.code":                   "",
		"abcdefé.code":                       "",
		strings.Repeat("a", 1<<16) + ".code": "",
	} {
		if got, ok := KeyOf(text); got != want || ok != (want != "") {
			t.Errorf("%.20q: %q, %v, want %q", text, got, ok, want)
		}
	}
}

func TestSame(t *testing.T) {
	a, b := NewKeys(secretOf(1), secretOf(2)), NewKeys(secretOf(2), secretOf(1))
	var none *Keys
	for name, tt := range map[string]struct {
		a, b *Keys
		want bool
	}{
		"in another order": {a, b, true},
		"one more":         {a, NewKeys(secretOf(1)), false},
		"another":          {a, NewKeys(secretOf(1), secretOf(3)), false},
		"none and none":    {none, none, true},
		"none and some":    {none, a, false},
		"some and none":    {a, none, false},
	} {
		if got := tt.a.Same(tt.b); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
