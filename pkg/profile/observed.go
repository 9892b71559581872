package profile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/text"
)

// Observed is what the cluster shows that the status of a profile is about.
type Observed struct {
	// Nodes is how many nodes have what each variant takes, by its kind.
	Nodes map[accel.Kind]int
	// Images are what became of the variants' images, by their names. What is not in
	// there was not seen by this process.
	Images map[string]Image
}

// Image is what became of a container image last. Times are zero for never.
type Image struct {
	// Pulled is when a container last had it, Failed when a kubelet last could not get
	// it, and Error why, in its words.
	Pulled, Failed time.Time
	Error          string
}

// imageInterval is how far the times of an image may be behind: a status that changed
// with each container would be written as often as pods start.
const imageInterval = 10 * time.Minute

// maxImageError bounds what a status has of a kubelet's words, in bytes.
const maxImageError = 512

// variants are the status of each variant of in, in their order.
func (o Observed) variants(in *v1alpha1.InferenceProfile) []v1alpha1.VariantStatus {
	var out []v1alpha1.VariantStatus
	for i := range in.Spec.Variants {
		v := &in.Spec.Variants[i]
		kind, err := accel.ParseKind(v.Accelerator)
		if err != nil || slices.ContainsFunc(out, func(s v1alpha1.VariantStatus) bool { return s.Accelerator == string(kind) }) {
			continue
		}
		s := v1alpha1.VariantStatus{Accelerator: string(kind)}
		for _, before := range in.Status.Variants {
			if before.Accelerator == string(kind) && before.Image == v.Image {
				s = before
			}
		}
		s.Nodes, s.Image = int32(min(o.Nodes[kind], 1<<30)), v.Image
		out = append(out, o.Images[v.Image].since(s))
	}
	return out
}

// since is a status with what was seen of its image since. An image fails while its status
// has an error: the API's times are whole seconds, and a pull may follow a failure in one.
func (i Image) since(s v1alpha1.VariantStatus) v1alpha1.VariantStatus {
	fails, pulls := i.Failed.After(i.Pulled), !i.Pulled.IsZero() && !i.Failed.After(i.Pulled)
	if s.ImageFailed != nil && i.Pulled.Before(s.ImageFailed.Time) {
		pulls = false // that was before the failure
	}
	turned := fails && s.ImageError == "" || pulls && s.ImageError != ""
	if later(i.Pulled, s.ImagePulled, imageInterval) || turned && pulls {
		s.ImagePulled = new(seconds(i.Pulled))
	}
	if later(i.Failed, s.ImageFailed, imageInterval) || turned && fails {
		s.ImageFailed = new(seconds(i.Failed))
	}
	switch {
	case turned && fails:
		s.ImageError = text.Shorten(i.Error, maxImageError)
	case pulls:
		s.ImageError = ""
	}
	return s
}

// later reports whether a time is later than what is written of it by more than so long.
// The API's times are whole seconds.
func later(at time.Time, written *metav1.Time, by time.Duration) bool {
	return !at.IsZero() && (written == nil || at.Truncate(time.Second).Sub(written.Time) > by)
}

// NoNode is the reason of the condition Usable where no node has what a variant takes.
const NoNode = "NoNode"

// usable is the condition that tells whether pods can request a profile and run, by its
// spec and the status of its variants. An image that was pulled once does not make it
// unusable: who asks without the right to pull it must not speak for everybody.
func usable(in *v1alpha1.InferenceProfile) metav1.Condition {
	c := metav1.Condition{
		Type: "Usable", Status: metav1.ConditionTrue, ObservedGeneration: in.Generation,
		Reason: "Valid", Message: "pods can request it",
	}
	if _, err := New(in); err != nil {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, "Invalid", err.Error()
		return c
	}
	var somewhere bool
	var fail []string
	for i := range in.Status.Variants {
		s := &in.Status.Variants[i]
		switch {
		case s.Nodes == 0:
		case s.ImagePulled == nil && s.ImageError != "":
			somewhere = true
			fail = append(fail, fmt.Sprintf("%s: %s", s.Accelerator, s.ImageError))
		default:
			return c
		}
	}
	c.Status = metav1.ConditionFalse
	if somewhere {
		c.Reason, c.Message = "NoImage", "no image could be pulled of a variant that a node could run: correct it here, or in its registry. "+strings.Join(fail, "; ")
		return c
	}
	c.Reason, c.Message = NoNode, fmt.Sprintf("no node has what a variant takes, which is %s: pods that request it wait until one comes. Install the device plugins, or change the profile", takes(in))
	return c
}

// takes lists the devices of a profile's variants, such as "gpu.intel.com/i915 (GPU) or
// cpu (CPU)".
func takes(in *v1alpha1.InferenceProfile) string {
	var all []string
	for i := range in.Spec.Variants {
		v := &in.Spec.Variants[i]
		names := accel.DeviceResources(v.Limits)
		if v.DeviceClassName != "" {
			names = append(names, "a device of class "+v.DeviceClassName)
		}
		if len(names) == 0 {
			for _, name := range slices.Sorted(maps.Keys(v.Limits)) {
				names = append(names, fmt.Sprintf("%s %s", new(v.Limits[name]), name))
			}
		}
		all = append(all, fmt.Sprintf("%s (%s)", strings.Join(names, " and "), v.Accelerator))
	}
	return strings.Join(all, " or ")
}

// summary is what of a status kubectl get prints.
type summary struct{ nodes, images, times string }

func summaryOf(in *v1alpha1.InferenceProfile) summary {
	return summary{in.Status.Nodes, in.Status.Images, in.Status.Times}
}

// summarize writes what kubectl get prints, which has a column for a text and none for a
// list.
func summarize(in *v1alpha1.InferenceProfile) {
	var nodes, images, times []string
	for i := range in.Status.Variants {
		s := &in.Status.Variants[i]
		state := "-"
		switch {
		case s.ImageError != "":
			state = "failed"
		case s.ImagePulled != nil:
			state = "pulled"
		}
		nodes = append(nodes, fmt.Sprintf("%s:%d", s.Accelerator, s.Nodes))
		images = append(images, s.Accelerator+":"+state)
	}
	for _, l := range in.Status.Learned {
		times = append(times, l.Accelerator+":"+l.Time.Duration.String())
	}
	in.Status.Nodes, in.Status.Images, in.Status.Times = strings.Join(nodes, ","), strings.Join(images, ","), strings.Join(times, ",")
}
