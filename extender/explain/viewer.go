package explain

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"heteroaccel.io/extender/bypass"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// What pages show of, as who asks for them may list it or not.
var (
	podResource     = schema.GroupResource{Resource: "pods"}
	nodeResource    = schema.GroupResource{Resource: "nodes"}
	profileResource = schema.GroupResource{Group: v1alpha1.GroupName, Resource: "inferenceprofiles"}
)

// viewer is who asks for one page: what they may list, and what the page leaves out
// for that.
type viewer struct {
	// all is set for one who may list everything.
	all bool
	may func(resource schema.GroupResource, namespace string) (bool, error)
	// asked are the answers so far, for the page to be of one piece.
	asked map[question]bool
	// err is the first error of may. The page is then not shown.
	err error
	// omitted are sentences on what the page leaves out.
	omitted []string
}

type question struct {
	resource  schema.GroupResource
	namespace string
}

func (s *Pages) viewer(r *http.Request) *viewer {
	return &viewer{asked: map[question]bool{}, may: func(resource schema.GroupResource, namespace string) (bool, error) {
		return s.MayList(r, resource, namespace)
	}}
}

func (v *viewer) lists(resource schema.GroupResource, namespace string) bool {
	if v.all {
		return true
	}
	q := question{resource, namespace}
	if allowed, ok := v.asked[q]; ok {
		return allowed
	}
	allowed, err := v.may(resource, namespace)
	if err != nil && v.err == nil {
		v.err = err
	}
	v.asked[q] = allowed && err == nil
	return v.asked[q]
}

// pods reports whether the viewer may see the pods of a namespace, and notes that
// they are left out if not.
func (v *viewer) pods(namespace string) bool {
	if v.lists(podResource, "") || v.lists(podResource, namespace) {
		return true
	}
	v.omit("pods of namespaces in which you may not list pods")
	return false
}

// nodes reports whether the viewer may see nodes, and notes that they are left out if
// not.
func (v *viewer) nodes() bool {
	if v.lists(nodeResource, "") {
		return true
	}
	v.omit("nodes, which you may not list")
	return false
}

// need is the error, a sentence, of a page that the viewer may not see.
func (v *viewer) need(resource schema.GroupResource, namespace string) error {
	switch {
	case v.lists(resource, "") || namespace != "" && v.lists(resource, namespace):
		return nil
	case namespace != "":
		return forbidden(fmt.Sprintf("you may not list %s in namespace %q, and so not see this: have the right given to you by RBAC", resource, namespace))
	}
	return forbidden(fmt.Sprintf("you may not list %s, and so not see this: have the right given to you by RBAC", resource))
}

func (v *viewer) omit(what string) {
	if !slices.Contains(v.omitted, what) {
		v.omitted = append(v.omitted, what)
	}
}

// omission is a sentence on what the page leaves out, "" for nothing.
func (v *viewer) omission() string { return strings.Join(v.omitted, "; ") }

// bypassed are those reports whose pod the viewer may see.
func (v *viewer) bypassed(reports []bypass.Report) []bypass.Report {
	var shown []bypass.Report
	for _, u := range reports {
		if namespace, _, _ := strings.Cut(u.LastPod, "/"); v.pods(namespace) {
			shown = append(shown, u)
		}
	}
	return shown
}

// hidden stands for a pod that the viewer may not see.
const hidden = "(not shown)"

// holder is a pod's namespace and name, if the viewer may see it.
func (v *viewer) holder(p *inventory.Pod) string {
	if !v.pods(p.Namespace) {
		return hidden
	}
	return p.Key()
}

// holders takes the names of pods that the viewer may not see from a list.
func (v *viewer) holders(all []holderView) {
	for i, h := range all {
		if !v.pods(h.Namespace) {
			all[i] = holderView{Slots: h.Slots}
		}
	}
}

// omissions is what a page leaves out because of who asks for it, as JSON.
type omissions struct {
	NotShown string `json:"notShown,omitempty"`
}

func (o *omissions) omitting(what string) { o.NotShown = what }
