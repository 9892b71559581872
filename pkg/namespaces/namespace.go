package namespaces

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// AllowedAnnotation is what a namespace lists the inferences in that it allows,
// separated by commas. A namespace without it allows every inference.
const AllowedAnnotation = accel.Prefix + "allowed-inferences"

// maxAllowed bounds that list, in bytes: it is kept for every namespace.
const maxAllowed = 16 << 10

// Namespace is what of a namespace says which inferences it may use. It is
// immutable.
type Namespace struct {
	Name   string
	Labels labels.Set
	// Allowed are the inferences that it allows, if Restricted; else it allows all.
	Allowed    []string
	Restricted bool
	// TooLong says that the list is longer than what is read: nothing is allowed.
	TooLong bool
}

// Of reads a namespace.
func Of(in *corev1.Namespace) *Namespace {
	ns := &Namespace{Name: in.Name, Labels: in.Labels}
	list, ok := in.Annotations[AllowedAnnotation]
	if !ok {
		return ns
	}
	ns.Restricted = true
	if ns.TooLong = len(list) > maxAllowed; ns.TooLong {
		return ns
	}
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			ns.Allowed = append(ns.Allowed, name)
		}
	}
	return ns
}

// Refuses says why the namespace may not use a profile; nil if it may.
func (ns *Namespace) Refuses(p *profile.Profile) error {
	switch {
	case ns.TooLong:
		return fmt.Errorf("annotation %s of namespace %s is longer than %d KiB: shorten it, or remove it to allow every inference", AllowedAnnotation, ns.Name, maxAllowed>>10)
	case ns.Restricted && len(ns.Allowed) == 0:
		return fmt.Errorf("namespace %s allows no inference: whoever may change it adds %s to its annotation %s", ns.Name, p.Name, AllowedAnnotation)
	case ns.Restricted && !slices.Contains(ns.Allowed, p.Name):
		return fmt.Errorf("namespace %s does not allow inference %s, but %s: ask for one of these, or whoever may change the namespace adds it to its annotation %s",
			ns.Name, p.Name, some(ns.Allowed), AllowedAnnotation)
	case p.Namespaces != nil && !p.Namespaces.Matches(ns.Labels):
		return fmt.Errorf("inference %s is not for namespace %s: its InferenceProfile is for namespaces with the labels %s", p.Name, ns.Name, p.Namespaces)
	}
	return nil
}

// some names the first few of many.
func some(names []string) string {
	const limit = 20
	if len(names) <= limit {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:limit], ", ") + ", …"
}
