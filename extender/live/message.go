package live

import (
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/journal"
)

// Message is one line of the stream. What has not changed since the one before is left
// out; the first one has everything.
type Message struct {
	// Time is the extender's clock, by which all other times are to be read.
	Time time.Time `json:"time"`
	// Begins is set in the first message, and names the process: after a restart it is
	// another, and what was known of the last hour is lost. Since is when it started.
	Begins string     `json:"begins,omitempty"`
	Since  *time.Time `json:"since,omitempty"`

	Nodes *Changes[Node] `json:"nodes,omitempty"`
	Pods  *Changes[Pod]  `json:"pods,omitempty"`
	// Kinds are all kinds, if one has changed.
	Kinds []Kind `json:"kinds,omitempty"`
	// Decisions are new ones, the oldest first, and LostDecisions how many before them are
	// not known any more.
	Decisions     []journal.Entry `json:"decisions,omitempty"`
	LostDecisions uint64          `json:"lostDecisions,omitempty"`
	// Points are new ones of the history.
	Points []Point `json:"points,omitempty"`
	// Problems are sentences on what is not known or wrong, all of them if one has changed.
	Problems *[]string `json:"problems,omitempty"`
	// NotShown is a sentence on what is left out since the viewer may not list it.
	NotShown string `json:"notShown,omitempty"`
}

// Changes are rows that are new or have changed, and the keys of those that are gone.
type Changes[Row any] struct {
	Set    []Row    `json:"set,omitempty"`
	Delete []string `json:"delete,omitempty"`
}

// Node is a node with its devices. Its key is its name.
type Node struct {
	Name     string `json:"name"`
	Cordoned bool   `json:"cordoned,omitempty"`
	// Telemetry is fresh, stale or none; TelemetryTime is of the last one where it is stale.
	Telemetry     string     `json:"telemetry"`
	TelemetryTime *time.Time `json:"telemetryTime,omitempty"`
	// Conflict is why what exporters say of it is ignored.
	Conflict string `json:"conflict,omitempty"`
	CPU      CPU    `json:"cpu"`
	// Devices are those of the telemetry, and resources of which it has no device.
	Devices []Device `json:"devices,omitempty"`
	// Unmapped are pods that have a device here of which telemetry does not tell yet which.
	Unmapped []Holder `json:"unmapped,omitempty"`
}

// CPU is a node's cores.
type CPU struct {
	Cores float64 `json:"cores"`
	Free  float64 `json:"free"`
	// Load is the busy part, in percent and steps of ten; nil if it is not known.
	Load *int     `json:"load,omitempty"`
	Pods []Holder `json:"pods,omitempty"`
}

// Device is one device.
type Device struct {
	Kind  accel.Kind `json:"kind"`
	ID    string     `json:"id"`
	Model string     `json:"model,omitempty"`
	// State is idle, busy, "shared n of m", unhealthy, "external (command)" or unknown, or of
	// a resource without telemetry "n of m free".
	State string `json:"state"`
	// Reason is why it is unhealthy, where that is known.
	Reason string `json:"reason,omitempty"`
	// Load is the busy part, in percent and steps of ten; nil if it is not known.
	Load    *int     `json:"load,omitempty"`
	Holders []Holder `json:"holders,omitempty"`

	// Share is what of it is in which state, by which kinds are counted.
	Share Share `json:"-"`
}

// Share is how many devices there are, or parts of one that is shared, how many of them
// are busy, and how many idle. The rest is unhealthy, used outside Kubernetes or unknown.
type Share struct{ Total, Busy, Idle float64 }

// Holder is a pod that has a device, without a name if it is not shown.
type Holder struct {
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
}

// Pod is a pod that the webhook admitted and that has not ended. Its key is
// namespace/name.
type Pod struct {
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	Inference string     `json:"inference"`
	Kind      accel.Kind `json:"kind"`
	// Node is where it is bound, "" while it waits.
	Node    string     `json:"node,omitempty"`
	Phase   string     `json:"phase,omitempty"`
	Created *time.Time `json:"created,omitempty"`
	// Priority is the pod's.
	Priority int32 `json:"priority,omitempty"`
	// Waits is set for a pod that is in the queue for its kind, in which they are by
	// Priority, then by Created, and then by name. Its place is not said: with every pod that leaves it, the place of
	// all others changes.
	Waits bool `json:"waits,omitempty"`
	// Starts is when one of the first in a queue is expected to start, to five seconds; nil
	// if it is not known.
	Starts *time.Time `json:"starts,omitempty"`
	// Reason is why a pod that waits has this kind, and Verdict why kube-scheduler finds no
	// node for it.
	Reason  string `json:"reason,omitempty"`
	Verdict string `json:"verdict,omitempty"`
}

// Kind is how many devices of a kind there are, in what state, and how many pods wait for
// it. Of the CPU they are cores.
type Kind struct {
	Kind accel.Kind `json:"kind"`
	// Total is Idle, Busy and the rest: unhealthy, used outside Kubernetes, unknown, or
	// on a node that is cordoned.
	Total   float64 `json:"total"`
	Idle    float64 `json:"idle"`
	Busy    float64 `json:"busy"`
	Waiting int     `json:"waiting"`
}

// Point is what was at one time, or happened since the point before.
type Point struct {
	Time  time.Time `json:"time"`
	Kinds []Kind    `json:"kinds"`
	// Waited are how long pods had waited that started: how many, and the median and the
	// 99th percentile in seconds.
	Started   int     `json:"started"`
	WaitedP50 float64 `json:"waitedP50"`
	WaitedP99 float64 `json:"waitedP99"`
	// Recreated counts pods that were recreated or moved, Denied those that were not
	// admitted.
	Recreated int `json:"recreated"`
	Denied    int `json:"denied"`
}
