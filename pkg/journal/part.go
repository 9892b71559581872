package journal

// Path is where the webhook serves its journal to extenders.
const Path = "/decisions"

// Purpose is what the secret is for by which both know each other.
const Purpose = "heteroaccel.io/decisions.v1"

// MaxPart is how many entries a Part has at most.
const MaxPart = 500

// Part is what one request for a journal is answered with, as JSON.
type Part struct {
	// Journal is its ID. Where it is another than the one asked for, Entries begin anew.
	Journal string `json:"journal"`
	// Lost is how many entries before these are not kept any more.
	Lost    uint64  `json:"lost,omitempty"`
	Entries []Entry `json:"entries"`
}
