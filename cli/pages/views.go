package pages

import (
	"time"

	"heteroaccel.io/pkg/journal"
)

// Omissions is what a page leaves out, since whoever asks may not list it.
type Omissions struct {
	NotShown string `json:"notShown,omitempty"`
}

// Nodes is the page of all nodes.
type Nodes struct {
	Nodes []Node `json:"nodes"`
	Omissions
}

// Node is a node, as far as we read it.
type Node struct {
	Name      string     `json:"name"`
	Cordoned  bool       `json:"cordoned"`
	Taints    []string   `json:"taints"`
	Conflict  string     `json:"conflict"`
	Telemetry *Telemetry `json:"telemetry"`
	CPU       CPU        `json:"cpu"`
	Resources []Resource `json:"resources"`
	Devices   []Device   `json:"devices"`
	// Unmapped hold devices of which no telemetry tells yet which these are.
	Unmapped []Holder `json:"unmapped"`
}

// Telemetry is how recent that of a node is.
type Telemetry struct {
	AgeSeconds float64 `json:"ageSeconds"`
	Fresh      bool    `json:"fresh"`
}

// CPU is a node's cores. Load is the busy fraction, nil if it is unknown.
type CPU struct {
	AllocatableCores float64  `json:"allocatableCores"`
	RequestedCores   float64  `json:"requestedCores"`
	FreeCores        float64  `json:"freeCores"`
	Load             *float64 `json:"load"`
	Pods             []string `json:"pods"`
}

// Resource is an extended resource of a node, or a DeviceClass by its implicit name.
type Resource struct {
	Resource string   `json:"resource"`
	Kinds    []string `json:"kinds"`
	Capacity int64    `json:"capacity"`
	Held     int64    `json:"held"`
	Usable   int64    `json:"usable"`
}

// Device is a device of a node.
type Device struct {
	Kind        string   `json:"kind"`
	ID          string   `json:"id"`
	Resource    string   `json:"resource"`
	Vendor      string   `json:"vendor"`
	Model       string   `json:"model"`
	Driver      string   `json:"driver"`
	Load        *float64 `json:"load"`
	Healthy     *bool    `json:"healthy"`
	Reason      string   `json:"reason"`
	Slots       int64    `json:"slots"`
	ExternalUse string   `json:"externalUse"`
	State       string   `json:"state"`
	Holders     []Holder `json:"holders"`
}

// Holder is a pod that holds slots of a device, without a name if it is not shown.
type Holder struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Slots     int64  `json:"slots"`
}

// Pods is the page of all pods that HeteroAccel admitted.
type Pods struct {
	Pods []Pod `json:"pods"`
	Omissions
}

// Pod is one of these.
type Pod struct {
	Namespace   string     `json:"namespace"`
	Name        string     `json:"name"`
	Inference   string     `json:"inference,omitempty"`
	Kind        string     `json:"kind,omitempty"`
	Phase       string     `json:"phase,omitempty"`
	Node        string     `json:"node,omitempty"`
	Created     *time.Time `json:"created,omitempty"`
	AgeSeconds  float64    `json:"ageSeconds"`
	Priority    int32      `json:"priority,omitempty"`
	Gated       bool       `json:"gated,omitempty"`
	Deleted     bool       `json:"deleted,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Verdict     string     `json:"verdict,omitempty"`
	VerdictTime *time.Time `json:"verdictTime,omitempty"`
}

// Waits reports whether the pod is not bound yet.
func (p Pod) Waits() bool { return p.Node == "" && p.Phase != "Succeeded" && p.Phase != "Failed" }

// Decisions is the page of what the webhook decided, the newest last.
type Decisions struct {
	Decisions []Decision `json:"decisions"`
	// Missing are sentences on what is not known.
	Missing []string `json:"missing,omitempty"`
	Omissions
}

// Decision is one of these.
type Decision struct {
	journal.Entry
	AgeSeconds float64 `json:"ageSeconds"`
}
