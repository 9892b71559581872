package servers

import (
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

// Server is a pod of a Deployment's ReplicaSet that does not end by itself, as the feed
// shows it. It never changes.
type Server struct {
	Namespace, Name string
	UID             types.UID
	// SetName and SetUID are its ReplicaSet's, Deployment the name of the Deployment that
	// the ReplicaSet's name begins with.
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
}

// Key is its namespace and name.
func (s *Server) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Name}
}

// Owner is the Deployment.
func (s *Server) Owner() types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Deployment}
}

// Of reads a pod; ok is false when it is no server of a Deployment, or has no record that
// verifies with keys, or gets its device by a ResourceClaim.
func Of(pod *corev1.Pod, keys *record.Keys) (s *Server, ok bool) {
	set := metav1.GetControllerOfNoCopy(pod)
	if set == nil || set.Kind != "ReplicaSet" || set.APIVersion != appsv1.SchemeGroupVersion.String() || inventory.Ends(pod) ||
		pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil, false
	}
	const longestUID = 64 // the API server does not check that the ReplicaSet exists
	deployment := DeploymentOf(set.Name)
	if deployment == "" || len(set.Name) > validation.DNS1123SubdomainMaxLength || len(set.UID) > longestUID {
		return nil, false
	}
	given, ours := record.Of(pod.Annotations, pod.Namespace, keys)
	if !ours || given.Claim != "" {
		return nil, false
	}
	s = &Server{
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
		SetName: set.Name, SetUID: set.UID, Deployment: deployment,
		Inference: given.Inference, Kind: given.Kind, Reservation: pod.Annotations[accel.ReservationAnnotation],
		Displaced: given.Displaced, ReadySince: readySince(pod), Deleted: pod.DeletionTimestamp != nil,
	}
	value := strings.ToLower(strings.TrimSpace(pod.Annotations[accel.UpgradeAnnotation]))
	s.OptIn, s.OptOut = value == "true", value == "false"
	return s, true
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
