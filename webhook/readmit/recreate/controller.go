package recreate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/webhook/readmit/podapi"
)

// controller is what is read of the controller of a pod.
type controller struct {
	kind     string
	uid      types.UID
	template corev1.PodTemplateSpec
	// onDelete is set when the controller replaces a pod by a newer version once
	// somebody deletes it.
	onDelete bool
	// hash is the value by which a Deployment's ReplicaSet selects its own pods,
	// "" for any other controller.
	hash string
	// minReady is for how long a Deployment's pod must have been Ready to be available.
	minReady time.Duration
}

// controllerOf reads the controller of a pod of a namespace, as its reference names it.
func (r *Recreator) controllerOf(ctx context.Context, namespace string, of metav1.OwnerReference) (*controller, error) {
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	c := &controller{kind: of.Kind}
	apps, core, get := r.Pods.AppsV1(), r.Pods.CoreV1(), metav1.GetOptions{}
	var err error
	switch of.Kind {
	case "ReplicaSet":
		var o *appsv1.ReplicaSet
		if o, err = apps.ReplicaSets(namespace).Get(ctx, of.Name, get); err == nil {
			c = ofReplicaSet(o)
		}
	case "StatefulSet":
		var o *appsv1.StatefulSet
		if o, err = apps.StatefulSets(namespace).Get(ctx, of.Name, get); err == nil {
			c.uid, c.template = o.UID, o.Spec.Template
			c.onDelete = o.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType
		}
	case "DaemonSet":
		var o *appsv1.DaemonSet
		if o, err = apps.DaemonSets(namespace).Get(ctx, of.Name, get); err == nil {
			c.uid, c.template = o.UID, o.Spec.Template
			c.onDelete = o.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType
		}
	case "ReplicationController":
		var o *corev1.ReplicationController
		if o, err = core.ReplicationControllers(namespace).Get(ctx, of.Name, get); err == nil {
			c.uid = o.UID
			if o.Spec.Template != nil {
				c.template = *o.Spec.Template
			}
		}
	case "Job":
		o, getErr := r.Pods.BatchV1().Jobs(namespace).Get(ctx, of.Name, get)
		if err = getErr; err == nil {
			c.uid, c.template = o.UID, o.Spec.Template
		}
	default:
		return nil, podapi.ErrChanged
	}
	if err != nil {
		return nil, fmt.Errorf("get the pod's %s: %w", of.Kind, err)
	}
	if c.uid != of.UID {
		return nil, podapi.ErrChanged
	}
	return c, nil
}

func ofReplicaSet(o *appsv1.ReplicaSet) *controller {
	return &controller{
		kind: "ReplicaSet", uid: o.UID, template: o.Spec.Template, hash: hashOf(o),
		minReady: time.Duration(o.Spec.MinReadySeconds) * time.Second,
	}
}

// hashOf is the value of pod-template-hash that a ReplicaSet selects its pods
// by, "" when it does not, belongs to no Deployment or is being deleted.
func hashOf(o *appsv1.ReplicaSet) string {
	d := metav1.GetControllerOfNoCopy(o)
	if d == nil || d.Kind != "Deployment" || d.APIVersion != appsv1.SchemeGroupVersion.String() || o.DeletionTimestamp != nil || o.Spec.Selector == nil {
		return ""
	}
	return o.Spec.Selector.MatchLabels[appsv1.DefaultDeploymentUniqueLabelKey]
}

// replacement is the pod that the controller creates once old is gone: from its
// template, with what the controller adds, which is taken from old.
func (c *controller) replacement(old *corev1.Pod) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: old.Namespace, GenerateName: old.GenerateName,
			Labels: old.Labels, Finalizers: old.Finalizers,
			Annotations: maps.Clone(c.template.Annotations),
		},
		Spec: *c.template.Spec.DeepCopy(),
	}
	// blockOwnerDeletion takes a right that the controller has and we do not.
	pod.OwnerReferences = slices.Clone(old.OwnerReferences)
	for i := range pod.OwnerReferences {
		pod.OwnerReferences[i].BlockOwnerDeletion = nil
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	for name, value := range old.Annotations {
		if strings.HasPrefix(name, "batch.kubernetes.io/") {
			pod.Annotations[name] = value
		}
	}
	if c.kind == "StatefulSet" || old.GenerateName == "" {
		pod.Name, pod.GenerateName = old.Name, ""
	}
	spec := &pod.Spec
	switch c.kind {
	case "StatefulSet":
		spec.Hostname, spec.Subdomain = old.Spec.Hostname, old.Spec.Subdomain
		for _, v := range old.Spec.Volumes { // those of its volumeClaimTemplates
			if v.PersistentVolumeClaim != nil && !slices.ContainsFunc(spec.Volumes, func(o corev1.Volume) bool { return o.Name == v.Name }) {
				spec.Volumes = append(spec.Volumes, v)
			}
		}
	case "DaemonSet": // the node that the pod is for
		spec.Affinity, spec.Tolerations = old.Spec.Affinity, old.Spec.Tolerations
	case "Job": // an Indexed Job's pods have a host name each
		spec.Hostname = old.Spec.Hostname
	}
	return pod
}
