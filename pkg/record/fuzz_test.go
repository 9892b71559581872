package record

import (
	"encoding/json"
	"testing"

	"heteroaccel.io/pkg/accel"
)

// FuzzUnseal: only what Seal returns is unsealed, for the same namespace and
// reservation alone, and what it says is what encoding/json reads of it.
func FuzzUnseal(f *testing.F) {
	const content = `{"container":"main","inference":"faces","kind":"GPU","image":{"was":"a","now":"b"}}`
	f.Add(Seal(content, key, "shop", "r1"), "shop", "r1", uint16(0), byte(0))
	f.Add(content, "shop", "r1", uint16(50), byte(1))
	f.Add("", "", "", uint16(3), byte(0xff))
	f.Add(" x", "a", "ab", uint16(43), byte(0x20))
	f.Fuzz(func(t *testing.T, text, namespace, reservation string, at uint16, change byte) {
		if content, ok := Unseal(text, key, namespace, reservation); ok && Seal(content, key, namespace, reservation) != text {
			t.Fatalf("%q was not sealed, and is unsealed as %q", text, content)
		}
		sealed := Seal(text, key, namespace, reservation)
		if content, ok := Unseal(sealed, key, namespace, reservation); !ok && len(text) <= MaxContent || ok && content != text {
			t.Fatalf("%q is unsealed as %q, %v", text, content, ok)
		}
		var want Given
		wanted := json.Unmarshal([]byte(text), &want) == nil
		annotations := map[string]string{accel.OriginalAnnotation: sealed, accel.ReservationAnnotation: reservation}
		if got, ok := Of(annotations, namespace, key); len(text) <= MaxContent && (ok != wanted || ok && got != want) {
			t.Fatalf("%q says %+v, %v; want %+v, %v", text, got, ok, want, wanted)
		}
		// The same bytes divided differently are another record.
		if _, ok := Unseal(sealed, key, namespace+reservation, ""); ok && reservation != "" {
			t.Fatal("a record of another namespace is unsealed")
		}
		changed := []byte(sealed)
		changed[int(at)%len(changed)] ^= change
		if _, ok := Unseal(string(changed), key, namespace, reservation); ok && change != 0 {
			t.Fatalf("%q is unsealed, which was changed from %q", changed, sealed)
		}
	})
}
