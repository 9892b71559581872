package record

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
)

// idPurpose is what a code is for whose beginning is a key's id, and idLength how
// many characters that has.
const (
	idPurpose = "heteroaccel.io/key-id.v1"
	idLength  = 8
)

// Keys are a key that seals, and the keys that verify: that one and the ones before
// it. They never change, and nil verifies nothing.
//
// What is sealed names its key by an id, which follows from the key: a key that was
// replaced by other bytes has another id, whatever it is called.
type Keys struct {
	all []sealingKey // the one that seals first
	// former has records sealed in the form of before keys had ids.
	former bool
}

type sealingKey struct {
	id     string
	secret []byte
}

// NewKeys returns keys of at least 32 bytes each; seals seals.
func NewKeys(seals []byte, others ...[]byte) *Keys {
	k := &Keys{}
	for _, secret := range slices.Insert(slices.Clone(others), 0, seals) {
		k.all = append(k.all, sealingKey{ID(secret), secret})
	}
	return k
}

// ID is the id of a key: 48 bits that tell nothing of it.
func ID(secret []byte) string { return code(secret, idPurpose)[:idLength] }

// Sealing is the id of the key that seals, "" for none.
func (k *Keys) Sealing() string {
	if k == nil {
		return ""
	}
	return k.all[0].id
}

// Has reports whether k has the key of an id.
func (k *Keys) Has(id string) bool { return k.of(id) != nil }

// Same reports whether k and other verify the same, whichever key seals.
func (k *Keys) Same(other *Keys) bool {
	if k == nil || other == nil {
		return k == other
	}
	return len(k.all) == len(other.all) && !slices.ContainsFunc(k.all, func(s sealingKey) bool { return !other.Has(s.id) })
}

// As returns k sealing with the key, and in the form, that a record was sealed with for
// a namespace and a reservation, so that the record can be written again as it was; k
// itself if none of its keys sealed it.
func (k *Keys) As(sealed, namespace, reservation string) *Keys {
	_, by := unseal(sealed, k, namespace, reservation)
	code, _, _ := strings.Cut(sealed, " ")
	if by == nil || by.id == k.Sealing() && isFormer(code) == k.former {
		return k
	}
	all := slices.Clone(k.all)
	slices.SortStableFunc(all, func(a, b sealingKey) int {
		switch by.id {
		case a.id:
			return -1
		case b.id:
			return 1
		}
		return 0
	})
	return &Keys{all, isFormer(code)}
}

// KeyOf is the id of the key that a sealed text says it was sealed with; ok is
// false for a text that is not of that form. Anybody may have written it.
func KeyOf(sealed string) (id string, ok bool) {
	id, _, ok = strings.Cut(sealed, ".")
	if !ok || len(id) != idLength || strings.ContainsFunc(id, func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", r)
	}) {
		return "", false
	}
	return id, true
}

// Code is the id of the key that seals, a dot, and an HMAC-SHA-256 over parts in
// URL-safe base64. The first part names what is authenticated, so that a code for
// one purpose serves no other. k must not be nil.
func (k *Keys) Code(parts ...string) string {
	return k.all[0].id + "." + code(k.all[0].secret, parts...)
}

// Verify reports whether a code is Code's for parts, with any of the keys.
func (k *Keys) Verify(c string, parts ...string) bool {
	return k.by(c, parts...) != nil
}

// by is the key with which a code is Code's for parts, nil for none.
func (k *Keys) by(c string, parts ...string) *sealingKey {
	if isFormer(c) {
		return k.byFormer(c, parts)
	}
	id, c, _ := strings.Cut(c, ".")
	by := k.of(id)
	if by == nil || !hmac.Equal([]byte(c), []byte(code(by.secret, parts...))) {
		return nil
	}
	return by
}

// Codes are codes over parts without an id, one for each key, that of the key that
// seals first.
func (k *Keys) Codes(parts ...string) []string {
	if k == nil {
		return nil
	}
	codes := make([]string, len(k.all))
	for i := range k.all {
		codes[i] = code(k.all[i].secret, parts...)
	}
	return codes
}

func (k *Keys) of(id string) *sealingKey {
	if k == nil {
		return nil
	}
	for i := range k.all {
		if k.all[i].id == id {
			return &k.all[i]
		}
	}
	return nil
}

// Derived are secrets of 32 bytes for another purpose, one for each key, that of the key
// that seals first. They tell nothing of the keys.
func (k *Keys) Derived(purpose string) [][]byte {
	if k == nil {
		return nil
	}
	derived := make([][]byte, len(k.all))
	for i := range k.all {
		derived[i] = sum(k.all[i].secret, purpose)
	}
	return derived
}

func code(secret []byte, parts ...string) string {
	return base64.RawURLEncoding.EncodeToString(sum(secret, parts...))
}

// sum is the HMAC-SHA-256 over parts.
func sum(secret []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, secret)
	for _, p := range parts {
		WritePart(h, p)
	}
	var s [sha256.Size]byte
	return h.Sum(s[:0])
}
