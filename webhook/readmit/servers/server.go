package servers

import (
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/record"
)

// Server is a pod of a ReplicaSet, StatefulSet or ReplicationController that does not end by
// itself, as the feed shows it. It never changes.
type Server struct {
	Namespace, Name string
	UID             types.UID
	// SetKind, SetName and SetUID are its controller's, Deployment the name of the
	// Deployment that the name of a ReplicaSet begins with, "" where there is none.
	SetKind    string
	SetName    string
	SetUID     types.UID
	Deployment string
	// Inference and Kind are what its record says that it was given.
	Inference   string
	Kind        accel.Kind
	Reservation string
	// Displaced is the kind that it would have been given, had a pod of the revision before
	// it not held that still; "" for none.
	Displaced accel.Kind
	// ReadySince is zero while it is not Ready.
	ReadySince time.Time
	// Deleted is set once it is being deleted.
	Deleted bool
	// OptIn and OptOut are what its annotation says about upgrades.
	OptIn, OptOut bool
	// Cost is its deletion cost, and OwnCost set where somebody else set it.
	Cost    int
	OwnCost bool
}

// Key is its namespace and name.
func (s *Server) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Name}
}

// Owner is the Deployment, by its name, or else the controller, as KIND/NAME.
func (s *Server) Owner() types.NamespacedName {
	if s.Deployment == "" {
		return types.NamespacedName{Namespace: s.Namespace, Name: s.SetKind + "/" + s.SetName}
	}
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Deployment}
}

// Controller is a reference to its controller.
func (s *Server) Controller() metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: controllers[s.SetKind], Kind: s.SetKind, Name: s.SetName, UID: s.SetUID}
}

// controllers are those that recreate a pod once it is evicted, on whatever node, with
// their API versions.
var controllers = map[string]string{
	"ReplicaSet": appsv1.SchemeGroupVersion.String(), "StatefulSet": appsv1.SchemeGroupVersion.String(), "ReplicationController": corev1.SchemeGroupVersion.String(),
}

// Of reads a pod; ok is false when it is no server of such a controller, or has no record
// that verifies with keys.
func Of(pod *corev1.Pod, keys *record.Keys) (s *Server, ok bool) {
	set := metav1.GetControllerOfNoCopy(pod)
	if set == nil || controllers[set.Kind] == "" || set.APIVersion != controllers[set.Kind] || inventory.Ends(pod) ||
		pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil, false
	}
	const longestUID = 64 // the API server does not check that the ReplicaSet exists
	deployment := ""
	if set.Kind == "ReplicaSet" {
		deployment = DeploymentOf(set.Name)
	}
	if len(set.Name) > validation.DNS1123SubdomainMaxLength || len(set.UID) > longestUID {
		return nil, false
	}
	given, ours := record.Of(pod.Annotations, pod.Namespace, keys)
	if !ours {
		return nil, false
	}
	s = &Server{
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
		SetKind: set.Kind, SetName: set.Name, SetUID: set.UID, Deployment: deployment,
		Inference: given.Inference, Kind: given.Kind, Reservation: pod.Annotations[accel.ReservationAnnotation],
		Displaced: given.Displaced, ReadySince: readySince(pod), Deleted: pod.DeletionTimestamp != nil,
	}
	value := strings.ToLower(strings.TrimSpace(pod.Annotations[accel.UpgradeAnnotation]))
	s.OptIn, s.OptOut = value == "true", value == "false"
	s.Cost, s.OwnCost = CostOf(pod.Annotations)
	return s, true
}

// CostOf is the deletion cost of a pod, 0 for none, and whether it is its owner's: we
// write the same value into an annotation of ours.
func CostOf(annotations map[string]string) (cost int, own bool) {
	value := annotations[corev1.PodDeletionCost]
	cost, err := strconv.Atoi(value)
	return cost, value != "" && (err != nil || annotations[accel.DeletionCostAnnotation] != value)
}

// DeploymentOf is the name of the Deployment whose ReplicaSet has this name, NAME-HASH; ""
// for a name of another form. Whether there is one only the ReplicaSet tells.
func DeploymentOf(set string) string {
	i := strings.LastIndexByte(set, '-')
	return set[:max(0, i)]
}

func readySince(pod *corev1.Pod) time.Time {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}
