package mutate

import (
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	sealed "heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/mutate/deviceflag"
)

// record is what a mutation replaced and added: enough to undo it, and to see
// whether each part is still as it was written. It is the content of the
// annotation "original". A part where nothing changed is absent, so the record
// stays small however large the pod is.
type record struct {
	sealed.Given
	Image    *text              `json:"image,omitempty"`
	Pull     *text              `json:"pull,omitempty"` // when the image is pulled
	Command  *deviceflag.Change `json:"command,omitempty"`
	Args     *deviceflag.Change `json:"args,omitempty"`
	Limits   amounts            `json:"limits,omitempty"`
	Requests amounts            `json:"requests,omitempty"`
	// PodLimits and PodRequests are those of the whole pod.
	PodLimits   amounts `json:"podLimits,omitempty"`
	PodRequests amounts `json:"podRequests,omitempty"`
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
	Scheduler    *text               `json:"scheduler,omitempty"` // the schedulerName

	// Note is what was appended to the decision's reason.
	Note string `json:"note,omitempty"`
}

// text is a string before and after.
type text struct {
	Was string `json:"was"`
	Now string `json:"now"`
}

// seal encodes r as the value of the annotation. The same record gives the same
// bytes. The error is a sentence for the person
// who wrote the pod, or says that the key is missing.
func (r *record) seal(keys *sealed.Keys, namespace, reservation string) (string, error) {
	if keys == nil {
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
	return sealed.Seal(string(content), keys, namespace, reservation), nil
}

// unseal returns the record that seal encoded; ok is false for anything that
// was not sealed with one of keys, for this namespace and reservation.
func unseal(original string, keys *sealed.Keys, namespace, reservation string) (r *record, ok bool) {
	content, ok := sealed.Unseal(original, keys, namespace, reservation)
	if !ok {
		return nil, false
	}
	r = &record{}
	if err := json.Unmarshal([]byte(content), r); err != nil {
		return nil, false
	}
	return r, true
}
