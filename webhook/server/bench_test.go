package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/serve/servetest"
)

// BenchmarkAdmission measures a whole admission, decision and reservation
// included, over HTTP on loopback, beside an encoding/json echo of the very
// same review and an answer that nobody has to think about.
func BenchmarkAdmission(b *testing.B) {
	body := benchReview(b)
	for _, nodes := range []int{3, 100, 1000, 5000} {
		webhook := servetest.Target{Name: "admit", Handler: benchWebhook(b, nodes), Path: "/mutate"}
		for _, clients := range []int{1, 8} {
			b.Run(fmt.Sprintf("nodes=%d/clients=%d", nodes, clients), func(b *testing.B) {
				servetest.Compare(b, clients, body, servetest.Echo[map[string]any](), webhook, servetest.Floor(2<<10))
			})
		}
	}
}

// BenchmarkHandler measures the same without the network.
func BenchmarkHandler(b *testing.B) {
	body := benchReview(b)
	targets := []servetest.Target{servetest.Echo[map[string]any]()}
	for _, nodes := range []int{3, 1000, 5000} {
		targets = append(targets, servetest.Target{Name: fmt.Sprintf("admit/nodes=%d", nodes), Handler: benchWebhook(b, nodes), Path: "/mutate"})
	}
	for _, t := range targets {
		b.Run(t.Name, func(b *testing.B) { servetest.Allocations(b, body, t) })
	}
}

// benchWebhook knows a cluster of so many nodes with a device each, half of
// them taken. Reservations are short: their pods, which would end them within
// milliseconds, never come here.
func benchWebhook(b *testing.B, nodes int) http.Handler {
	b.Helper()
	r := newRigOver(b, inventory.New(inventory.Options{ReservationTTL: 5 * time.Millisecond}))
	kinds := []string{gpu, npu, fpga}
	for i := range nodes {
		name := fmt.Sprintf("node-%d", i)
		r.node(name, kinds[i%len(kinds)], 1)
		if i%2 == 1 {
			held := pod("held-"+name, "face-recognition", "any")
			held.Spec.NodeName = name
			held.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceName(kinds[i%len(kinds)]): resource.MustParse("1")}
			r.inv.SetPod(inventory.PodOf(held, testKey))
		}
	}
	return r.srv.Handler()
}

// benchReview is a review of 11 KB, as the API server sends one for the pod of
// a Deployment with the usual defaults, environment and managed fields.
func benchReview(b *testing.B) []byte {
	b.Helper()
	p := pod("", "face-recognition", "any", func(p *corev1.Pod) {
		p.GenerateName = "face-recognition-5d9c7f8b6d-"
		p.Labels = map[string]string{"app": "face-recognition", "pod-template-hash": "5d9c7f8b6d"}
		for i := range 46 {
			p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%02d", i), Value: strings.Repeat("v", 40)})
		}
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "log-shipper", Image: "log-shipper", Args: []string{"--to", "somewhere"}})
		p.Spec.Volumes = []corev1.Volume{{Name: "kube-api-access", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}}
		p.Spec.Tolerations = []corev1.Toleration{
			{Key: "node.kubernetes.io/not-ready", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
			{Key: "node.kubernetes.io/unreachable", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
		}
		for i := range 7 {
			p.ManagedFields = append(p.ManagedFields, metav1.ManagedFieldsEntry{
				Manager: fmt.Sprintf("manager-%d", i), Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1",
				Time: &metav1.Time{Time: time.Unix(1_700_000_000, 0)}, FieldsType: "FieldsV1",
				FieldsV1: metav1.NewFieldsV1(`{"f:spec":{` + strings.Repeat(`"f:terminationGracePeriodSeconds":{},`, 20) + `"f:schedulerName":{}}}`),
			})
		}
	})
	body := reviewOf(b, p)
	if len(body) < 10_500 || len(body) > 12_500 {
		b.Fatalf("the review has %d bytes, want about 11 KB", len(body))
	}
	return body
}
