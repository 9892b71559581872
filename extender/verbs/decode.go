package verbs

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/bytedance/sonic"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// codec is sonic, which accepts what encoding/json does. Side by side over HTTP,
// with the same types, goccy/go-json took a tenth longer (p50, 100 to 1,000
// names), and encoding/json twice as long. Sonic compiles for amd64 and arm64,
// and is encoding/json elsewhere.
//
// Strings that it decodes share one copy of the body: keep clones of them.
var codec = sonic.Config{ValidateString: true, UseUnicodeErrors: true}.Froze()

// pretouch compiles the decoders ahead of the first request.
func pretouch() error {
	return errors.Join(sonic.Pretouch(reflect.TypeFor[args]()), sonic.Pretouch(reflect.TypeFor[preemptArgs]()), sonic.Pretouch(reflect.TypeFor[affinityArgs]()))
}

// args is the part of extenderv1.ExtenderArgs that is needed. To decode whole
// pods and nodes would take many times as long, and change no answer.
type args struct {
	Pod       *podArgs
	Nodes     *nodeList
	NodeNames []string
}

// podArgs is the part of a pod that is needed.
type podArgs struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		UID       string `json:"uid"`
		// Annotations are read only of a pod that the inventory does not know
		// yet: see claimsManaged.
		Annotations sonic.NoCopyRawMessage `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Containers     []containerArgs     `json:"containers"`
		InitContainers []containerArgs     `json:"initContainers"`
		Overhead       corev1.ResourceList `json:"overhead"`
		Resources      *requestArgs        `json:"resources"`
		// Affinity is read for scores only: see preference.
		Affinity sonic.NoCopyRawMessage `json:"affinity"`
	} `json:"spec"`
}

// affinityArgs is the part of a pod's affinity that is needed.
type affinityArgs struct {
	NodeAffinity struct {
		Preferred []corev1.PreferredSchedulingTerm `json:"preferredDuringSchedulingIgnoredDuringExecution"`
	} `json:"nodeAffinity"`
}

type containerArgs struct {
	RestartPolicy *corev1.ContainerRestartPolicy `json:"restartPolicy"`
	Resources     requestArgs                    `json:"resources"`
}

type requestArgs struct {
	Requests corev1.ResourceList `json:"requests"`
}

// nodeList holds whole nodes as they came. A scheduler sends these if its entry
// for the extender is not nodeCacheCapable, and gets whole nodes back.
type nodeList struct {
	Items []json.RawMessage `json:"items"`
}

// errPod is what a decoder returns for arguments that are sound around a pod
// whose requests cannot be read: the pod cannot be placed.
var errPod = errors.New("the pod's resources cannot be read")

// decodeArgs reads the body of a filter or prioritize request. If Nodes is set,
// NodeNames are their names, one for one. The error is a sentence for the sender.
func decodeArgs(body []byte, s *scratch) (*args, error) {
	a := &args{NodeNames: s.names}
	if err := decode(body, a, "ExtenderArgs"); err != nil {
		return nil, err
	}
	if a.Pod == nil {
		return nil, errors.New("the body holds no Pod: send ExtenderArgs, as kube-scheduler does")
	}
	switch {
	case len(a.NodeNames) > 0:
		a.Nodes = nil
	case a.Nodes != nil:
		if err := a.nameNodes(); err != nil {
			return nil, err
		}
	case !namesNodes(body):
		return nil, errors.New("the body holds neither NodeNames nor Nodes: send ExtenderArgs, as kube-scheduler does")
	}
	s.names = a.NodeNames
	return a, nil
}

// nameNodes fills NodeNames with the names of whole nodes.
func (a *args) nameNodes() error {
	for i, item := range a.Nodes.Items {
		var node struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		if err := codec.Unmarshal(item, &node); err != nil || node.Metadata.Name == "" {
			return fmt.Errorf("item %d of Nodes has no metadata.name", i)
		}
		a.NodeNames = append(a.NodeNames, node.Metadata.Name)
	}
	return nil
}

// namesNodes tells an empty list of names from none: both leave a slice that is
// reused as it was.
func namesNodes(body []byte) bool {
	var a struct{ NodeNames *json.RawMessage }
	return codec.Unmarshal(body, &a) == nil && a.NodeNames != nil
}

// decode decodes a body. The error leaves out where in the body it is, but not
// what is wrong with a quantity: that is Kubernetes' own sentence.
func decode(body []byte, into any, name string) error {
	if !utf8.Valid(body) {
		return errors.New("the body is not valid UTF-8")
	}
	err := codec.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	for _, wrong := range []error{resource.ErrFormatWrong, resource.ErrNumeric, resource.ErrSuffix} {
		if errors.Is(err, wrong) {
			return fmt.Errorf("%w: %w", errPod, err)
		}
	}
	return fmt.Errorf("the body is not the JSON of %s that kube-scheduler sends", name)
}
