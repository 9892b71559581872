package journal

import (
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/text"
)

// What is what happened.
type What string

const (
	// Chosen is that a pod got a kind that is idle, Waits that it got one for which it has
	// to wait, and OverQuota one that the rules of its namespace are expected to deny.
	Chosen    What = "chosen"
	Waits     What = "waits"
	OverQuota What = "over quota"
	// Denied is that a pod was not admitted; it does not exist.
	Denied What = "denied"
	// Recreated is that a waiting pod was deleted for its owner to recreate it for another
	// kind, Moved that the ResourceClaim of one that is bound late now asks for another,
	// and Kept that neither could be done.
	Recreated What = "recreated"
	Moved     What = "moved"
	Kept      What = "kept"
	// MovedUp is that a server runs on a faster kind now, in another pod.
	MovedUp What = "moved up"
	// Lapsed is that a pod that was admitted was not created in time: its reservation is
	// released.
	Lapsed What = "lapsed"
)

// Refused is a kind that a pod may have, and that was refused to it.
type Refused struct {
	Kind accel.Kind `json:"kind"`
	Why  string     `json:"why"`
}

// Entry is what happened to one pod.
type Entry struct {
	// Seq counts the entries of one journal, from 1.
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
	What What      `json:"what"`

	Namespace string `json:"namespace"`
	// Pod is its name; "" while it has none, as those of controllers in their admission:
	// their names begin with GenerateName.
	Pod          string `json:"pod,omitempty"`
	GenerateName string `json:"generateName,omitempty"`
	// Owner is its controller, as Job/name.
	Owner     string `json:"owner,omitempty"`
	Inference string `json:"inference,omitempty"`
	// Kind is the one that it got, and From the one that it waited for before.
	Kind accel.Kind `json:"kind,omitempty"`
	From accel.Kind `json:"from,omitempty"`
	// Reason is one sentence.
	Reason  string    `json:"reason"`
	Refused []Refused `json:"refused,omitempty"`
	// Reservation is what the pod's annotation says, too.
	Reservation string `json:"reservation,omitempty"`
	// Micros is how long it took to decide, in microseconds; 0 where nobody measured.
	Micros int64 `json:"micros,omitempty"`
}

// Limits of an entry, in bytes: much of it comes from whoever creates pods.
const (
	longestName   = 320
	longestReason = 1024
	longestWhy    = 256
	mostRefused   = 16
)

// bounded is e with everything in it cut to its limit.
func (e Entry) bounded() Entry {
	for _, s := range []*string{&e.Namespace, &e.Pod, &e.GenerateName, &e.Owner, &e.Inference, &e.Reservation, (*string)(&e.Kind), (*string)(&e.From), (*string)(&e.What)} {
		*s = text.Shorten(*s, longestName)
	}
	e.Reason = text.Shorten(e.Reason, longestReason)
	refused := e.Refused[:min(len(e.Refused), mostRefused)]
	e.Refused = nil
	for _, r := range refused {
		e.Refused = append(e.Refused, Refused{accel.Kind(text.Shorten(string(r.Kind), longestName)), text.Shorten(r.Why, longestWhy)})
	}
	return e
}

// Name is the pod's name, or what it begins with.
func (e Entry) Name() string {
	if e.Pod == "" && e.GenerateName != "" {
		return e.GenerateName + "*"
	}
	return e.Pod
}
