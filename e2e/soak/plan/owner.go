package plan

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"heteroaccel.io/pkg/accel"
)

// Sort is who makes an owner's pods.
type Sort string

// The sorts of owner. A Bare one is a pod by itself.
const (
	Deployment  Sort = "Deployment"
	StatefulSet Sort = "StatefulSet"
	DaemonSet   Sort = "DaemonSet"
	Controller  Sort = "ReplicationController"
	Job         Sort = "Job"
	IndexedJob  Sort = "Indexed Job"
	Bare        Sort = "Pod"
)

// OwnerLabel, on every pod of ours, is its owner's name: unique in the plan.
const OwnerLabel = "soak/owner"

// Container is the name of the container that runs the inference.
const Container = "inference"

// Owner is what makes pods of ours.
type Owner struct {
	Sort                       Sort
	Namespace, Name, Inference string
	// Kinds are the allowed ones.
	Kinds []accel.Kind
	// Count is how many pods it has at a time, of a Job its parallelism.
	Count int
	// Completions is how often a Job's pods are to succeed.
	Completions int
	// Ends is set where the pods end by themselves.
	Ends     bool
	Template corev1.PodTemplateSpec
	// Claims are made before the owner, and are bound already or soon; claim
	// templates are a StatefulSet's.
	Claims, ClaimTemplates []*corev1.PersistentVolumeClaim
	// At is when it is created.
	At time.Duration
}

// Key names the owner for people.
func (o *Owner) Key() string { return string(o.Sort) + " " + o.Namespace + "/" + o.Name }

// Object is the owner as it is created.
func (o *Owner) Object() runtime.Object {
	meta := metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace, Labels: map[string]string{OwnerLabel: o.Name}}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{OwnerLabel: o.Name}}
	count := int32(o.Count)
	template := *o.Template.DeepCopy()
	switch o.Sort {
	case Deployment:
		return &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &count, Selector: selector, Template: template}}
	case StatefulSet:
		set := &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{
			Replicas: &count, Selector: selector, Template: template, ServiceName: "none",
			// The usual order creates no second pod while the first waits.
			PodManagementPolicy: appsv1.ParallelPodManagement,
		}}
		for _, c := range o.ClaimTemplates {
			set.Spec.VolumeClaimTemplates = append(set.Spec.VolumeClaimTemplates, *c.DeepCopy())
		}
		return set
	case DaemonSet:
		return &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}}
	case Controller:
		return &corev1.ReplicationController{ObjectMeta: meta, Spec: corev1.ReplicationControllerSpec{
			Replicas: &count, Selector: selector.MatchLabels, Template: &template,
		}}
	case Job, IndexedJob:
		completions, tries, mode := int32(o.Completions), int32(100), batchv1.NonIndexedCompletion
		if o.Sort == IndexedJob {
			mode = batchv1.IndexedCompletion
		}
		return &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{
			Parallelism: &count, Completions: &completions, BackoffLimit: &tries, CompletionMode: &mode, Template: template,
		}}
	}
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Name, pod.Namespace = o.Name, o.Namespace
	return pod
}
