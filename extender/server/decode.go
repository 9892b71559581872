package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"unicode/utf8"
	"unsafe"

	"github.com/bytedance/sonic"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
)

// args is the part of extenderv1.ExtenderArgs that is read. A whole pod and
// whole nodes would cost many times as much, and change no answer.
//
// Its strings point into the body: nothing of it may outlive the request
// without a copy.
type args struct {
	Pod       *podArgs
	Nodes     *nodeList
	NodeNames []string
}

// podArgs is the part of a pod that is read.
type podArgs struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		UID       string `json:"uid"`
		// Annotations are read only for a pod that the inventory does not
		// know yet: see claims.
		Annotations sonic.NoCopyRawMessage `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Containers     []containerArgs     `json:"containers"`
		InitContainers []containerArgs     `json:"initContainers"`
		Overhead       corev1.ResourceList `json:"overhead"`
		Resources      *requestArgs        `json:"resources"`
	} `json:"spec"`
}

type containerArgs struct {
	RestartPolicy *corev1.ContainerRestartPolicy `json:"restartPolicy"`
	Resources     requestArgs                    `json:"resources"`
}

type requestArgs struct {
	Requests corev1.ResourceList `json:"requests"`
}

// nodeList holds full nodes as they came, to be answered in kind.
type nodeList struct {
	Items []json.RawMessage `json:"items"`
}

// codec is encoding/json's idea of what is valid, at sonic's speed. Strings
// point into the input instead of being copied one by one.
var codec = sonic.Config{ValidateString: true, UseUnicodeErrors: true}.Froze()

// pretouch compiles the decoders ahead of the first request.
func pretouch() error {
	return errors.Join(sonic.Pretouch(reflect.TypeFor[args]()), sonic.Pretouch(reflect.TypeFor[preemptArgs]()))
}

// scratch is what one request needs, reused by the next.
type scratch struct {
	args args
	out  []byte
	// rejected are the nodes a filter rejected.
	rejected []rejection
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// mostKept bounds what a returned scratch may hold on to: a single huge
// request must not stay in memory.
const mostKept = 1 << 20

// unset stands in NodeNames until the body has it: a slice that is reused
// cannot tell "absent" by being nil.
const unset = "unset"

// isUnset knows unset by where it is: no string of a body is there.
func isUnset(s string) bool { return unsafe.StringData(s) == unsafe.StringData(unset) }

// borrow returns a scratch that is ready for a body.
func borrow() *scratch {
	s := scratches.Get().(*scratch)
	s.args.NodeNames = append(s.args.NodeNames[:0], unset)
	return s
}

// release gives a scratch back, holding on to nothing of the request.
func (s *scratch) release() {
	names := s.args.NodeNames
	clear(names)
	clear(s.rejected)
	s.args = args{NodeNames: names[:0]}
	s.rejected, s.out = s.rejected[:0], s.out[:0]
	if cap(s.out) <= mostKept && cap(names) <= mostKept/16 {
		scratches.Put(s)
	}
}

// errPod is what decode returns for ExtenderArgs as they should be around a
// pod whose requests nobody can read: a failure to place it, not of the request.
var errPod = errors.New("the pod's resources cannot be read")

// decode reads a request's body. The error is a sentence for whoever sent it.
func (s *scratch) decode(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("the body is not valid UTF-8")
	}
	if err := codec.UnmarshalFromString(unsafe.String(unsafe.SliceData(body), len(body)), &s.args); err != nil {
		return unreadable(err, "ExtenderArgs")
	}
	named := s.args.NodeNames != nil
	if len(s.args.NodeNames) > 0 && isUnset(s.args.NodeNames[0]) {
		named = len(s.args.NodeNames) > 1
		s.args.NodeNames[0] = "" // a null changes nothing
	}
	switch {
	case s.args.Pod == nil:
		return errors.New("the body holds no Pod: send ExtenderArgs, as kube-scheduler does")
	case named:
		s.args.Nodes = nil // names are what is worked on
		return nil
	case s.args.Nodes == nil:
		return errors.New("the body holds neither NodeNames nor Nodes: send ExtenderArgs, as kube-scheduler does")
	default:
		return s.nameItems()
	}
}

// unreadable puts a decoder's error in a sentence, without its drawing of the
// place. What is wrong with a quantity comes from Kubernetes' own parser.
func unreadable(err error, what string) error {
	for _, wrong := range []error{resource.ErrFormatWrong, resource.ErrNumeric, resource.ErrSuffix} {
		if errors.Is(err, wrong) {
			return fmt.Errorf("%w: %w", errPod, err)
		}
	}
	return fmt.Errorf("the body is not the JSON of %s that kube-scheduler sends", what)
}

// nameItems fills NodeNames with the names of full nodes.
func (s *scratch) nameItems() error {
	s.args.NodeNames = s.args.NodeNames[:0]
	for i, item := range s.args.Nodes.Items {
		var node struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		if err := codec.Unmarshal(item, &node); err != nil || node.Metadata.Name == "" {
			return fmt.Errorf("item %d of Nodes has no metadata.name", i)
		}
		s.args.NodeNames = append(s.args.NodeNames, node.Metadata.Name)
	}
	return nil
}

// claims reports whether the pod says of itself that the webhook admitted it. A
// quote inside of a value is escaped, so that only a key looks like this.
func (p *podArgs) claims() bool {
	return bytes.Contains(p.Metadata.Annotations, []byte(`"`+accel.SelectedAnnotation+`":`))
}

// pod is the pod as far as its requests go.
func (p *podArgs) pod() *corev1.Pod {
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		Containers:     containers(p.Spec.Containers),
		InitContainers: containers(p.Spec.InitContainers),
		Overhead:       p.Spec.Overhead,
	}}
	if p.Spec.Resources != nil {
		pod.Spec.Resources = &corev1.ResourceRequirements{Requests: p.Spec.Resources.Requests}
	}
	return pod
}

func containers(in []containerArgs) []corev1.Container {
	out := make([]corev1.Container, len(in))
	for i, c := range in {
		out[i].RestartPolicy = c.RestartPolicy
		out[i].Resources.Requests = c.Resources.Requests
	}
	return out
}
