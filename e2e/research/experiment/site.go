package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	corev1 "k8s.io/api/core/v1"

	camera "heteroaccel.io/connector/camera/client"
	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/research/fleet"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// kindOf says which kind an accelerator's resource is of; a pod with none runs
// on a CPU.
var kindOf = map[corev1.ResourceName]accel.Kind{
	"gpu.intel.com/i915":                 "GPU",
	"vpu.intel.com/hddl":                 "NPU",
	"fpga.intel.com/arria10.dcp1.2-nlb0": "FPGA",
}

// cpuNode alone has the cores for a run on the CPU, and for one at a time: the paper says
// what its CPUs did together, 1.89 inferences a second, and not what each did.
const (
	cpuNode    = "g"
	cpuCores   = "5" // of the node's eight
	otherCores = 4
)

// machines are the paper's, with the cores for that.
func machines(late bool) []*machine.Machine {
	all := machine.Paper()
	if late {
		all = machine.OnDRA(machine.Paper())
	}
	for _, m := range all {
		if m.Name != cpuNode {
			m.Cores = otherCores
		}
	}
	return all
}

// paper is the paper's cluster and its inferences, service times stretched.
func paper(stretch float64) *fleet.Fleet { return fleet.Paper(stretch) }

// usual are the service times by kind of which runs are expected: on the FPGA
// the paper saw one in 326.
func usual(f *fleet.Fleet) (times []time.Duration) {
	for j, t := range f.Types[0].Service {
		if f.Kinds[j].Name != "FPGA" {
			times = append(times, t)
		}
	}
	return times
}

// site is a cluster that pods can be created in.
type site struct {
	client kubernetes.Interface
	// any is set where HeteroAccel is installed: pods leave the choice to it.
	any  bool
	stop func()
	// late is set where pods are bound late.
	late bool
	// deadline is what pods that leave the choice to HeteroAccel are given, 0 for none.
	deadline time.Duration
	// namespace is where the pods are.
	namespace string
	// stack is set where any is, and connector where cameras ask it instead of
	// creating pods.
	stack     *stack.Stack
	connector *camera.Client
}

// plain is a cluster without HeteroAccel.
func plain(ctx context.Context, out io.Writer) (*site, error) {
	c, err := cluster.Start(ctx, cluster.Config{Out: out, Machines: machine.Paper()})
	if err != nil {
		return nil, err
	}
	return &site{client: c.Client(), namespace: metav1.NamespaceDefault, stop: c.Stop}, nil
}

// installed is a cluster with HeteroAccel, its profiles hinting at the service
// times of the fleet, where pods are bound late or not.
func installed(ctx context.Context, policy string, late bool, f *fleet.Fleet, out io.Writer) (*site, error) {
	config := stack.Config{Out: out, Machines: machines(late), Late: late, Drive: late, Webhook: []string{"--policy", policy}}
	if late {
		config.Webhook = append(config.Webhook, "--binding=auto", "--readmission=false")
	}
	s, err := stack.Start(ctx, config)
	if err != nil {
		return nil, err
	}
	for _, t := range f.Types {
		if err := hint(ctx, s, f, t); err != nil {
			s.Stop()
			return nil, fmt.Errorf("set the service times of %s: %w", t.Name, err)
		}
	}
	at := &site{client: s.Client(), namespace: metav1.NamespaceDefault, any: true, late: late, stack: s, stop: s.Stop}
	if late {
		if err := at.bindsLate(ctx, f); err != nil {
			s.Stop()
			return nil, err
		}
	}
	return at, nil
}

// bindsLate waits until the webhook has seen devices of all kinds and binds pods late.
func (s *site) bindsLate(ctx context.Context, f *fleet.Fleet) error {
	return poll.Until(ctx, func(ctx context.Context) error {
		for _, t := range f.Types {
			would := s.pod(&request{name: "probe", inference: t.Name})
			would, err := s.client.CoreV1().Pods(s.namespace).Create(ctx, would, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err != nil {
				return fmt.Errorf("ask for a pod by a dry run: %w", err)
			}
			if len(would.Spec.ResourceClaims) == 0 {
				return fmt.Errorf("a pod of %s would be bound early", t.Name)
			}
		}
		return nil
	})
}

// hint writes a type's service times into its profile.
func hint(ctx context.Context, s *stack.Stack, f *fleet.Fleet, t fleet.Type) error {
	var p *v1alpha1.InferenceProfile
	p, err := s.Profiles.Get(ctx, t.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for i := range p.Spec.Variants {
		v := &p.Spec.Variants[i]
		for j, k := range f.Kinds {
			if accel.Kind(v.Accelerator) == k.Name {
				v.ServiceTime = &metav1.Duration{Duration: t.Service[j].Round(time.Millisecond)}
			}
		}
		if v.Accelerator == "CPU" {
			v.Limits[corev1.ResourceCPU] = resource.MustParse(cpuCores)
		}
	}
	_, err = s.Profiles.Update(ctx, p, metav1.UpdateOptions{})
	return err
}

// pod is one request of a camera. Whatever accelerator it gets, it runs as
// long as was drawn for that.
func (s *site) pod(r *request) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: r.name, Namespace: metav1.NamespaceDefault, Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "inference", Image: "heteroaccel/" + r.inference + ":gpu", Args: []string{"-d", "GPU"},
			}},
		},
	}
	for k, d := range r.takes {
		p.Annotations[cluster.DurationAnnotation+"-"+string(k)] = d.String()
	}
	p.Annotations[cluster.DurationAnnotation] = r.takes["GPU"].String()
	if s.any {
		p.Annotations[accel.InferenceAnnotation] = r.inference
		p.Annotations[accel.AcceleratorAnnotation] = "any"
		if s.deadline > 0 {
			p.Annotations[accel.DeadlineAnnotation] = s.deadline.String()
		}
		return p
	}
	p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"gpu.intel.com/i915": resource.MustParse("1")}
	return p
}

// ranOn is the kind of accelerator that a pod really has, by its limits or, where it is
// bound late, by its image, which is another one for each kind.
func ranOn(p *corev1.Pod) (accel.Kind, error) {
	kind := accel.Kind("CPU")
	if len(p.Spec.ResourceClaims) > 0 {
		_, tag, _ := strings.Cut(p.Spec.Containers[0].Image, ":")
		kind = accel.Kind(strings.ToUpper(tag))
	}
	for name := range p.Spec.Containers[0].Resources.Limits {
		kind = cmp.Or(kindOf[name], kind)
	}
	if said := p.Annotations[accel.SelectedAnnotation]; said != "" && said != string(kind) {
		return kind, fmt.Errorf("pod %s says that it has the %s, and runs on the %s", p.Name, said, kind)
	}
	return kind, nil
}

// deletePods deletes all pods and waits until they are gone.
func (s *site) deletePods(ctx context.Context) error {
	pods := s.client.CoreV1().Pods(s.namespace)
	now := int64(0)
	if err := pods.DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{}); err != nil {
		return fmt.Errorf("delete the pods: %w", err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := pods.List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("list the pods: %w", err)
		}
		if len(left.Items) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the pods to go: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}
