package record

import (
	"encoding/hex"
	"strings"
	"testing"
)

// former is what the revision before keys had ids sealed with a key of 32 bytes 7, for
// the namespace shop and the reservation r1.
const (
	former        = "GPjegaJoQJgctZE-HkEIabE7b2cgcYVlvns80z9GeNc " + formerContent
	formerContent = `{"container":"main","inference":"faces","kind":"GPU","image":{"was":"a","now":"b"}}`
)

// TestFormer: what was sealed before keys had ids verifies, with whichever key of the
// Secret it was, and can be written again byte for byte.
func TestFormer(t *testing.T) {
	alone, rotated := NewKeys(secretOf(7)), NewKeys(secretOf(9), secretOf(8), secretOf(7))
	for name, tt := range map[string]struct {
		sealed, namespace, reservation string
		keys                           *Keys
		want                           bool
	}{
		"its key alone":          {former, "shop", "r1", alone, true},
		"after rotations":        {former, "shop", "r1", rotated, true},
		"its key removed":        {former, "shop", "r1", NewKeys(secretOf(9), secretOf(8)), false},
		"no keys":                {former, "shop", "r1", nil, false},
		"another namespace":      {former, "till", "r1", alone, false},
		"another reservation":    {former, "shop", "r2", alone, false},
		"another kind":           {strings.Replace(former, "GPU", "NPU", 1), "shop", "r1", alone, false},
		"no code":                {" " + formerContent, "shop", "r1", alone, false},
		"given its key's id":     {alone.Sealing() + "." + former, "shop", "r1", alone, false},
		"today's without its id": {Seal(formerContent, alone, "shop", "r1")[idLength+1:], "shop", "r1", alone, false},
	} {
		content, ok := Unseal(tt.sealed, tt.keys, tt.namespace, tt.reservation)
		if ok != tt.want || ok && content != formerContent {
			t.Errorf("%s: %q, %v, want %v", name, content, ok, tt.want)
		}
		by := SealedBy(tt.sealed, tt.keys, tt.namespace, tt.reservation)
		if want := map[bool]string{true: ID(secretOf(7))}[tt.want]; by != want {
			t.Errorf("%s: sealed by %q, want %q", name, by, want)
		}
	}
	for name, keys := range map[string]*Keys{"alone": alone, "rotated": rotated} {
		as := keys.As(former, "shop", "r1")
		if got := Seal(formerContent, as, "shop", "r1"); got != former {
			t.Errorf("%s: sealed again: %q, want %q", name, got, former)
		}
		if !as.Same(keys) {
			t.Errorf("%s: other keys verify", name)
		}
		today := Seal(formerContent, keys, "shop", "r1")
		if got := Seal(formerContent, as.As(today, "shop", "r1"), "shop", "r1"); got != today || strings.Contains(former, ".") {
			t.Errorf("%s: today's sealed again: %q, want %q", name, got, today)
		}
	}
}

// TestSums are those of openssl dgst -sha256 -mac HMAC.
func TestSums(t *testing.T) {
	const want = "8483f20b"
	sums := NewKeys(secretOf(7), secretOf(8)).Sums("text")
	if len(sums) != 2 || len(sums[0]) != 32 || hex.EncodeToString(sums[0][:4]) != want || string(sums[0]) == string(sums[1]) {
		t.Errorf("%x, want it to begin with %s", sums, want)
	}
	if none := (*Keys)(nil).Sums("text"); none != nil {
		t.Errorf("%x without a key", none)
	}
}
