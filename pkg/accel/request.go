package accel

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Request is what a pod requests of us.
type Request struct {
	// Inference is the name of an InferenceProfile.
	Inference string
	// Kinds are the allowed kinds in order of preference; nil means any.
	Kinds []Kind
	// Container is the container to mutate; "" leaves it to the profile.
	Container string
	// Deadline is by when after its creation the pod's run should be done. 0 leaves it
	// to the profile, and NoDeadline says that there is none.
	Deadline time.Duration
}

// NoDeadline is the Deadline of a pod that has none, whatever its profile says.
const NoDeadline time.Duration = -1

// DeadlineOr is the pod's deadline, given its profile's; 0 is none.
func (r Request) DeadlineOr(profile time.Duration) time.Duration {
	if r.Deadline == 0 {
		return max(0, profile)
	}
	return max(0, r.Deadline)
}

// Any reports whether every kind is allowed that the profile has a variant for.
func (r Request) Any() bool { return len(r.Kinds) == 0 }

// Rank is the position of k in the order of preference, 0 first. Where any kind is
// allowed all have rank 0. ok is false for a kind that is not allowed.
func (r Request) Rank(k Kind) (rank int, ok bool) {
	if r.Any() {
		return 0, true
	}
	i := slices.Index(r.Kinds, k)
	return i, i >= 0
}

// maxKinds bounds an order of preference, and so the work that an annotation
// causes: at admission its size has not been validated yet.
const maxKinds = 32

// ParseRequest reads a pod's annotations. ours is false for a pod that requests
// nothing of us; err is a sentence for the person who wrote the annotations.
//
// A mirror pod is not ours, whatever its annotations: the kubelet runs the static
// pod from a file, and only reports it to the API server.
func ParseRequest(annotations map[string]string) (req Request, ours bool, err error) {
	if _, mirror := annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return Request{}, false, nil
	}
	inferenceKey, acceleratorKey := InferenceAnnotation, AcceleratorAnnotation
	inference, hasInference := annotations[inferenceKey]
	accelerator, hasAccelerator := annotations[acceleratorKey]
	if !hasInference && !hasAccelerator {
		inferenceKey, acceleratorKey = bareInference, bareAccelerator
		inference, hasInference = annotations[inferenceKey]
		accelerator, hasAccelerator = annotations[acceleratorKey]
		if !hasInference || !hasAccelerator {
			return Request{}, false, nil
		}
	}
	if inference = strings.TrimSpace(inference); inference == "" {
		return Request{}, true, fmt.Errorf("annotation %s is missing or empty: set it to the name of an InferenceProfile", inferenceKey)
	}
	if msgs := validation.IsDNS1123Subdomain(inference); len(msgs) > 0 {
		return Request{}, true, fmt.Errorf("annotation %s: %q is not the name of an InferenceProfile: use lower-case letters, digits, '-' and '.'", inferenceKey, abbreviate(inference))
	}
	req.Inference = inference
	if hasAccelerator {
		if req.Kinds, err = parseKinds(accelerator); err != nil {
			return Request{}, true, fmt.Errorf("annotation %s: %w", acceleratorKey, err)
		}
	}
	if c, ok := annotations[ContainerAnnotation]; ok {
		c = strings.TrimSpace(c)
		if len(validation.IsDNS1123Label(c)) > 0 {
			return Request{}, true, fmt.Errorf("annotation %s: %q is not the name of a container", ContainerAnnotation, abbreviate(c))
		}
		req.Container = c
	}
	if d, ok := annotations[DeadlineAnnotation]; ok {
		if req.Deadline, err = parseDeadline(d); err != nil {
			return Request{}, true, fmt.Errorf("annotation %s: %w", DeadlineAnnotation, err)
		}
	}
	return req, true, nil
}

// parseDeadline parses "none", which is NoDeadline, or a duration above zero.
func parseDeadline(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if strings.EqualFold(s, "none") {
		return NoDeadline, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a duration above zero: write one such as \"5s\" or \"1m30s\", or \"none\"", abbreviate(s))
	}
	return d, nil
}

// parseKinds parses "any", which is nil, or a comma-separated list without
// duplicates.
func parseKinds(s string) ([]Kind, error) {
	if strings.EqualFold(strings.TrimSpace(s), "any") {
		return nil, nil
	}
	var kinds []Kind
	for part := range strings.SplitSeq(s, ",") {
		k, err := ParseKind(part)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is neither \"any\" nor kinds in order of preference, such as \"gpu,npu\"", abbreviate(s))
		case k == "ANY":
			return nil, fmt.Errorf("%q mixes \"any\" with kinds: write one or the other", abbreviate(s))
		case slices.Contains(kinds, k):
			return nil, fmt.Errorf("%q names %s twice: name each kind once", abbreviate(s), k)
		case len(kinds) == maxKinds:
			return nil, fmt.Errorf("%q names more than %d kinds: name fewer, or write \"any\"", abbreviate(s), maxKinds)
		}
		kinds = append(kinds, k)
	}
	return kinds, nil
}

// abbreviate bounds the text of an annotation in a message: a hostile one can be as
// large as an admission request.
func abbreviate(s string) string {
	const maxRunes = 60
	runes := 0
	for i := range s {
		if runes++; runes > maxRunes {
			return s[:i] + "…"
		}
	}
	return s
}
