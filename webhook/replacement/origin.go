package replacement

import "k8s.io/apimachinery/pkg/types"

// Origin is where a replacement comes from: a controller, whatever the pod's
// name, or for a pod without a controller its name.
type Origin struct {
	Namespace  string
	Controller types.UID
	Name       string
}

// OriginOf is the origin of a pod; controller is "" for a pod without one.
func OriginOf(namespace string, controller types.UID, name string) Origin {
	if controller != "" {
		name = ""
	}
	return Origin{namespace, controller, name}
}
