package mutate

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// amounts record how resource amounts changed, by name.
type amounts map[corev1.ResourceName]amountChange

// amountChange is an amount before and after, in Kubernetes' canonical form;
// "" where there was none.
type amountChange struct {
	Was string `json:"was,omitempty"`
	Now string `json:"now,omitempty"`
}

// changedAmounts compares two lists; nil when they are the same.
func changedAmounts(was, now corev1.ResourceList) amounts {
	var changed amounts
	note := func(name corev1.ResourceName, c amountChange) {
		if changed == nil {
			changed = amounts{}
		}
		changed[name] = c
	}
	for name, n := range now {
		if w, ok := was[name]; !ok {
			note(name, amountChange{Now: n.String()})
		} else if w.Cmp(n) != 0 {
			note(name, amountChange{Was: w.String(), Now: n.String()})
		}
	}
	for name, w := range was {
		if _, ok := now[name]; !ok {
			note(name, amountChange{Was: w.String()})
		}
	}
	return changed
}

// undo returns list without the changes, each where the amount is still what was
// written; nil when that is empty.
func (a amounts) undo(list corev1.ResourceList) corev1.ResourceList {
	if len(a) == 0 {
		return list
	}
	out := maps.Clone(list)
	if out == nil {
		out = corev1.ResourceList{}
	}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		c := a[name]
		have := ""
		if q, ok := out[name]; ok {
			have = q.String()
		}
		if have != c.Now {
			continue
		}
		delete(out, name)
		if q, err := resource.ParseQuantity(c.Was); err == nil {
			out[name] = q
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
