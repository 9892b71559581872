// Package record authenticates what the webhook writes on a pod about its own
// mutation, so that pods it admitted can be recognized.
//
// The content of a record, a pod's namespace and the id of its reservation enter;
// the sealed annotation leaves, and the other way round. Anybody may write
// annotations, so one that does not verify counts as absent. The package never
// reads what a mutation replaced, and never decides anything.
//
// Keys change while the records of earlier ones are still in use: what is sealed
// names its key. Where the keys are kept, and since when the newest seals, is
// package kube's matter. What was sealed before there were several keys verifies too:
// see former.go.
//
// A record is bound to its namespace and reservation, not to its pod: at admission
// a pod has no UID and perhaps no name. Users who may create pods in a namespace
// can therefore copy a record within it.
package record

import (
	"encoding/binary"
	"encoding/json"
	"hash"
	"io"
	"strings"
	"time"

	"heteroaccel.io/pkg/accel"
)

// MaxContent bounds the content of a record, in bytes: Kubernetes allows 256 KiB of
// annotations in all.
const MaxContent = 128 << 10

// version is part of what is authenticated: a record of another format does
// not verify.
const version = "heteroaccel.io/original.v3"

// Given is the part of a record that says what a pod was given. The rest of its
// content belongs to package mutate.
type Given struct {
	// Container runs the inference: a name, not an index, since other webhooks
	// insert containers.
	Container string `json:"container"`
	// Inference is the profile's name, and Kind the kind of the variant.
	Inference string     `json:"inference"`
	Kind      accel.Kind `json:"kind"`
	// Unwritten is set when the device was written nowhere that the program is
	// known to read, so that it may run on another kind and its duration is not
	// learned from.
	Unwritten bool `json:"unwritten,omitempty"`
	// Class is the DeviceClass of the variant, and Claim the ResourceClaim by which the
	// pod gets a device of it, where the pod is bound late; both are "" where it is not.
	Class string `json:"class,omitempty"`
	Claim string `json:"claim,omitempty"`
	// Moved is when such a pod was last moved to another kind, zero if it never was.
	Moved time.Time `json:"moved,omitzero"`
	// FirstAdmitted is when the first of the pods was admitted, or created, that this one
	// replaces, which its deadline counts from; zero for a pod that replaces none and had
	// no deadline.
	FirstAdmitted time.Time `json:"firstAdmitted,omitzero"`
	// Displaced is the kind that a server would have been given, had a pod of its
	// Deployment's revision before it not held that still; "" for any other pod.
	Displaced accel.Kind `json:"displaced,omitempty"`
}

// Of returns what a pod of a namespace was given, by the record among its
// annotations; ok is false for a pod without one that verifies.
func Of(annotations map[string]string, namespace string, keys *Keys) (g Given, ok bool) {
	content, ok := Unseal(annotations[accel.OriginalAnnotation], keys, namespace, annotations[accel.ReservationAnnotation])
	if !ok || json.Unmarshal([]byte(content), &g) != nil {
		return Given{}, false
	}
	return g, true
}

// Seal returns the value of the annotation: a code, a space, the content. Equal
// content gives equal bytes. keys must not be nil.
func Seal(content string, keys *Keys, namespace, reservation string) string {
	if keys.former {
		return code(keys.all[0].secret, formerVersion, namespace, reservation, content) + " " + content
	}
	return keys.Code(version, namespace, reservation, content) + " " + content
}

// Unseal returns the content that Seal was given; ok is false for anything
// that was not sealed with one of keys for this namespace and reservation.
func Unseal(sealed string, keys *Keys, namespace, reservation string) (content string, ok bool) {
	content, by := unseal(sealed, keys, namespace, reservation)
	return content, by != nil
}

// SealedBy is the id of the key that a text was sealed with for this namespace and
// reservation, "" if it is none of keys.
func SealedBy(sealed string, keys *Keys, namespace, reservation string) (id string) {
	if _, by := unseal(sealed, keys, namespace, reservation); by != nil {
		id = by.id
	}
	return id
}

// unseal returns the content, and the key; nil for anything that was not sealed so.
func unseal(sealed string, keys *Keys, namespace, reservation string) (content string, by *sealingKey) {
	if len(sealed) > 2*MaxContent {
		return "", nil
	}
	code, content, found := strings.Cut(sealed, " ")
	if !found {
		return "", nil
	}
	purpose := version
	if isFormer(code) {
		purpose = formerVersion
	}
	if by = keys.by(code, purpose, namespace, reservation, content); by == nil {
		return "", nil
	}
	return content, by
}

// WritePart writes the length of s and s, so that different sequences of parts
// never write the same bytes.
func WritePart(h hash.Hash, s string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(s)))
	h.Write(n[:])
	_, _ = io.WriteString(h, s) // a hash never fails
}
