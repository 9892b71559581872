package main

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/bench/report"
	"heteroaccel.io/pkg/accel"
)

// load is a sort of pods.
type load struct {
	name string
	// kinds are what a pod may have, "" for one that wants no accelerator.
	kinds string
	// asks is whom kube-scheduler asks the way that is ours.
	asks asks
	// late is set where devices are served by DRA: our pods are bound late, and those by
	// hand have a claim by a template. kube-scheduler asks nobody, either way.
	late bool
	// admits is set where a webhook that answers at once is asked in the place of ours.
	admits bool
}

// asks is whom kube-scheduler asks.
type asks int

const (
	extender asks = iota
	// filterAlone is the extender, which is not asked for scores.
	filterAlone
	// instant is one that answers at once that all nodes will do, and has no preference.
	instant
	nobody
)

var everyLoad = []load{
	{name: "gpu", kinds: "gpu"}, {name: "cpu", kinds: "cpu"}, {name: "any", kinds: "any"}, {name: "none"},
	{name: "gpu-late", kinds: "gpu", late: true}, {name: "none-late", late: true},
	{name: "gpu-filter", kinds: "gpu", asks: filterAlone}, {name: "gpu-instant", kinds: "gpu", asks: instant},
	{name: "gpu-admit-instant", kinds: "gpu", asks: nobody, admits: true},
}

// loadsOf are those of the names given, of an installation that binds pods late or of one
// that does not.
func loadsOf(names []string, late bool) (loads []load) {
	for _, l := range everyLoad {
		if l.late == late && slices.Contains(names, l.name) {
			loads = append(loads, l)
		}
	}
	return loads
}

const inference = "face-recognition"

// pod is one of a load as people write it.
func (l load) pod(name string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"app": "bench"}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "inference", Image: "mine", Command: []string{"bash", "-c", "./run -d GPU && sleep 60"}}},
		},
	}
	if l.kinds != "" {
		p.Annotations = map[string]string{accel.InferenceAnnotation: l.inference(), accel.AcceleratorAnnotation: l.kinds}
	}
	return p
}

func (l load) inference() string {
	if l.late {
		return lateInference
	}
	return inference
}

// writer returns what writes the pods of a load, one way. By hand they have what the
// webhook would give them, and neither its annotations nor ours.
func (x *site) writer(ctx context.Context, l load, way string) (func(name string) *corev1.Pod, error) {
	switch {
	case way == report.Ours && l.admits:
		return func(name string) *corev1.Pod {
			p := l.pod(name)
			p.Annotations = map[string]string{"bench/asks": l.kinds}
			p.Labels[admitLabel] = "yes"
			return p
		}, nil
	case way == report.Ours, l.kinds == "":
		return l.pod, nil
	}
	given, err := x.given(ctx, l)
	if err != nil {
		return nil, err
	}
	container := given.Spec.Containers[0]
	return func(name string) *corev1.Pod {
		p := l.pod(name)
		p.Annotations = nil
		p.Spec.Containers[0] = container
		if l.late {
			p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: claimByHand, ResourceClaimTemplateName: new(claimTemplate)}}
			p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: claimByHand}}
		}
		return p
	}, nil
}

// given is a pod of a load as the webhook writes it.
func (x *site) given(ctx context.Context, l load) (*corev1.Pod, error) {
	asked := l.pod("")
	asked.GenerateName = "probe-"
	given, err := x.Client().CoreV1().Pods(namespace).Create(ctx, asked, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return nil, fmt.Errorf("ask the webhook what it would write: %w", err)
	}
	// What the API server adds to a pod, as a token's mount, it adds once more.
	given.Spec.Containers[0].VolumeMounts = nil
	return given, nil
}
