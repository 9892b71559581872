package mutate

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Op is one operation of a JSON patch (RFC 6902).
type Op struct {
	Op   string `json:"op"`
	Path string `json:"path"`
	// Value is absent from a removal, and never nil otherwise.
	Value any `json:"value,omitempty"`
}

// Operations of a JSON patch.
const (
	opAdd     = "add"
	opReplace = "replace"
	opRemove  = "remove"
)

// Diff returns the patch from before to after in the fields that Apply touches,
// for target t; empty when they are the same there. Missing parents are created.
// Items of a list are added, replaced and removed one by one, so that fields newer
// than our types survive in every item that the patch does not name.
func Diff(before, after *Pod, t Target) []Op {
	d := diff{ops: make([]Op, 0, 16)}
	d.annotations(before.Metadata.Annotations, after.Metadata.Annotations)
	if b, a := t.container(before), t.container(after); b != nil && a != nil {
		at := "/spec/containers/"
		if t.Init {
			at = "/spec/initContainers/"
		}
		d.container(at+strconv.Itoa(t.Index), b, a)
	}
	b, a := &before.Spec, &after.Spec
	if b.Resources != nil && a.Resources != nil && b.Resources != a.Resources {
		d.resources("/spec/resources", b.Resources, a.Resources)
	}
	diffList(&d, "/spec/volumes", b.Volumes, a.Volumes, func(x, y *corev1.Volume) bool { return x.Name == y.Name }, same)
	diffList(&d, "/spec/tolerations", b.Tolerations, a.Tolerations, func(x, y *corev1.Toleration) bool { return same(*x, *y) }, same)
	diffList(&d, "/spec/resourceClaims", b.ResourceClaims, a.ResourceClaims, func(x, y *corev1.PodResourceClaim) bool { return x.Name == y.Name }, equal)
	d.strings("/spec/nodeSelector", b.NodeSelector, a.NodeSelector)
	d.groups(b.SecurityContext, a.SecurityContext)
	switch {
	case b.SchedulerName == a.SchedulerName:
	case a.SchedulerName == "":
		d.put(opRemove, "/spec/schedulerName", nil)
	default:
		d.put(opAdd, "/spec/schedulerName", a.SchedulerName)
	}
	return d.ops
}

type diff struct{ ops []Op }

func (d *diff) put(op, path string, value any) {
	d.ops = append(d.ops, Op{Op: op, Path: path, Value: value})
}

// annotations compares only those that are ours to write.
func (d *diff) annotations(before, after map[string]string) {
	const at = "/metadata/annotations"
	if len(before) == 0 {
		if len(after) > 0 {
			d.put(opAdd, at, after)
		}
		return
	}
	for _, name := range annotations {
		d.entry(at, name, before, after)
	}
}

// strings compares maps of strings.
func (d *diff) strings(at string, before, after map[string]string) {
	switch {
	case len(before) == 0 && len(after) == 0:
	case len(before) == 0:
		d.put(opAdd, at, after)
	case len(after) == 0:
		d.put(opRemove, at, nil)
	default:
		for _, key := range slices.Sorted(maps.Keys(before)) {
			d.entry(at, key, before, after)
		}
		for _, key := range slices.Sorted(maps.Keys(after)) {
			if _, known := before[key]; !known {
				d.entry(at, key, before, after)
			}
		}
	}
}

func (d *diff) entry(at, key string, before, after map[string]string) {
	b, had := before[key]
	a, has := after[key]
	switch {
	case had && !has:
		d.put(opRemove, at+"/"+escape(key), nil)
	case !had && has:
		d.put(opAdd, at+"/"+escape(key), a)
	case b != a:
		d.put(opReplace, at+"/"+escape(key), a)
	}
}

func (d *diff) container(at string, b, a *corev1.Container) {
	if b.Image != a.Image {
		d.put(opAdd, at+"/image", a.Image) // add: it replaces what is there, and may be absent
	}
	if b.ImagePullPolicy != a.ImagePullPolicy {
		d.put(opReplace, at+"/imagePullPolicy", a.ImagePullPolicy)
	}
	d.words(at+"/command", b.Command, a.Command)
	d.words(at+"/args", b.Args, a.Args)
	diffList(d, at+"/env", b.Env, a.Env, func(x, y *corev1.EnvVar) bool { return x.Name == y.Name }, sameEnv)
	d.resources(at+"/resources", &b.Resources, &a.Resources)
	diffList(d, at+"/volumeMounts", b.VolumeMounts, a.VolumeMounts, func(x, y *corev1.VolumeMount) bool { return x.MountPath == y.MountPath }, sameMount)
}

// words compares lists of strings: in place, with words appended, or as a whole
// when some are gone.
func (d *diff) words(at string, before, after []string) {
	switch {
	case slices.Equal(before, after):
	case len(before) == 0:
		d.put(opAdd, at, after)
	case len(after) == 0:
		d.put(opRemove, at, nil)
	case len(after) < len(before):
		d.put(opReplace, at, after)
	default:
		for i, w := range after {
			if i >= len(before) {
				d.put(opAdd, at+"/-", w)
			} else if before[i] != w {
				d.put(opReplace, at+"/"+strconv.Itoa(i), w)
			}
		}
	}
}

// resources compares limits and requests, each as a whole: their types are
// maps, which have no unknown fields. Claims are compared one by one.
func (d *diff) resources(at string, b, a *corev1.ResourceRequirements) {
	if len(b.Limits)+len(b.Requests)+len(b.Claims) == 0 {
		// The object itself may be absent.
		if len(a.Limits)+len(a.Requests)+len(a.Claims) > 0 {
			d.put(opAdd, at, corev1.ResourceRequirements{Limits: a.Limits, Requests: a.Requests, Claims: a.Claims})
		}
		return
	}
	diffList(d, at+"/claims", b.Claims, a.Claims, func(x, y *corev1.ResourceClaim) bool { return x.Name == y.Name }, func(x, y corev1.ResourceClaim) bool { return x == y })
	d.amounts(at+"/limits", b.Limits, a.Limits)
	d.amounts(at+"/requests", b.Requests, a.Requests)
}

func (d *diff) amounts(at string, before, after corev1.ResourceList) {
	same := func(x, y corev1.ResourceList) bool {
		if len(x) != len(y) {
			return false
		}
		for name, q := range x {
			if p, ok := y[name]; !ok || q.Cmp(p) != 0 {
				return false
			}
		}
		return true
	}
	switch {
	case same(before, after):
	case len(after) == 0:
		d.put(opRemove, at, nil)
	default:
		d.put(opAdd, at, after)
	}
}

// groups compares the supplemental groups of two security contexts.
func (d *diff) groups(before, after *corev1.PodSecurityContext) {
	const at = "/spec/securityContext"
	var b, a []int64
	if before != nil {
		b = before.SupplementalGroups
	}
	if after != nil {
		a = after.SupplementalGroups
	}
	if before == nil && len(a) > 0 {
		d.put(opAdd, at, corev1.PodSecurityContext{SupplementalGroups: a})
		return
	}
	diffList(d, at+"/supplementalGroups", b, a, func(x, y *int64) bool { return *x == *y }, same)
}

// diffList compares lists of items: match says that two are the same item, and
// unchanged that it did not change either.
func diffList[T any](d *diff, at string, before, after []T, match func(x, y *T) bool, unchanged func(x, y T) bool) {
	if len(before) == 0 {
		if len(after) > 0 {
			d.put(opAdd, at, after)
		}
		return
	}
	if len(after) == 0 {
		d.put(opRemove, at, nil)
		return
	}
	if len(before) == len(after) && &before[0] == &after[0] {
		return // shared: nothing changed it
	}
	next, index := 0, 0 // in after, and in the list as patched so far
	for i := range before {
		if next == len(after) || !match(&before[i], &after[next]) {
			d.put(opRemove, at+"/"+strconv.Itoa(index), nil)
			continue
		}
		if !unchanged(before[i], after[next]) {
			d.put(opReplace, at+"/"+strconv.Itoa(index), after[next])
		}
		next++
		index++
	}
	for ; next < len(after); next++ {
		d.put(opAdd, at+"/-", after[next])
	}
}

var pointer = strings.NewReplacer("~", "~0", "/", "~1")

// escape makes key a part of a JSON pointer (RFC 6901).
func escape(key string) string { return pointer.Replace(key) }
