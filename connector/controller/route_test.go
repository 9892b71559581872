package controller

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"heteroaccel.io/connector/gatewayapi"
	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// unconnected is a controller with a Gateway that has yet to see the API server.
func unconnected(t *testing.T) (*Controller, *events.FakeRecorder) {
	t.Helper()
	config := &rest.Config{Host: "http://192.0.2.1"} // never asked
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	gateway, err := gatewayapi.New(config)
	if err != nil {
		t.Fatal(err)
	}
	in := &v1alpha1.InferenceProfile{ObjectMeta: metav1.ObjectMeta{Name: "face", UID: "u-p"}}
	in.Spec.Variants = []v1alpha1.Variant{{Accelerator: "GPU", Image: "x", Limits: corev1.ResourceList{"gpu.intel.com/i915": resource.MustParse("1")}}}
	p, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	profiles := profile.NewStore()
	profiles.Set(p)
	a, err := session.ParseAttachment("edge/cameras")
	if err != nil {
		t.Fatal(err)
	}
	recorder := events.NewFakeRecorder(10)
	return New(Config{
		Client: client, Namespace: "sessions", Profiles: profiles, Reach: session.ReachGateway,
		Gateway: &Gateway{Client: gateway, Attachment: *a}, Recorder: recorder, Registry: prometheus.NewRegistry(), Log: zerolog.Nop(),
	}), recorder
}

// TestRefusalIsTold once, whether the route is refused or the pod is ready first,
// and by the leader alone.
func TestRefusalIsTold(t *testing.T) {
	for name, tt := range map[string]struct {
		readyFirst bool
		follows    bool
		want       int
	}{
		"ready first":   {readyFirst: true, want: 1},
		"refused first": {want: 1},
		"not leading":   {follows: true},
	} {
		t.Run(name, func(t *testing.T) {
			k, recorder := unconnected(t)
			if !tt.follows {
				k.begin(t.Context())
			}
			version := 0
			written := func(m *metav1.ObjectMeta) {
				version++
				m.ResourceVersion, m.Generation = fmt.Sprint(version), 1
			}
			pod, err := session.Pod(&corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}}},
				session.Pool{Inference: "face", Accelerator: "any"}, session.ReachGateway, "sessions", "face-x")
			if err != nil {
				t.Fatal(err)
			}
			pod.UID, pod.Spec.NodeName = "u-x", "edge-1"
			becomes := func(ready corev1.ConditionStatus) {
				written(&pod.ObjectMeta)
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
				k.setPod(pod.DeepCopy())
			}
			becomes(corev1.ConditionFalse)
			v, err := session.OfPod(pod)
			if err != nil {
				t.Fatal(err)
			}
			service := session.ServiceFor(v, "sessions")
			written(&service.ObjectMeta)
			k.setService(service)
			gateway := &gatewayv1.Gateway{}
			gateway.Spec.Listeners = []gatewayv1.Listener{{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType}}
			k.setGateway(session.OfGateway(k.Gateway.Attachment, gateway))
			refuse := func() {
				route := session.RouteFor(v, k.Gateway.Attachment, "http", "sessions")
				written(&route.ObjectMeta)
				route.Status.Parents = []gatewayv1.RouteParentStatus{{ParentRef: route.Spec.ParentRefs[0], Conditions: []metav1.Condition{
					{Type: "Accepted", Status: metav1.ConditionFalse, Reason: "NotAllowedByListeners", Message: "not from there"},
				}}}
				k.setRoute(route)
			}
			if tt.readyFirst {
				becomes(corev1.ConditionTrue)
				refuse()
			} else {
				refuse()
				becomes(corev1.ConditionTrue)
			}
			refuse()
			becomes(corev1.ConditionTrue)
			if got := k.table.Server("face-x"); got.Phase != session.Unreachable || !got.Refused {
				t.Errorf("it is %s, refused %v: %s", got.Phase, got.Refused, got.Pending)
			}
			if n := len(recorder.Events); n != tt.want {
				t.Fatalf("%d Events, want %d", n, tt.want)
			}
			if tt.want > 0 {
				if e := <-recorder.Events; !strings.Contains(e, "CannotServe") || !strings.Contains(e, "NotAllowedByListeners: not from there") {
					t.Errorf("the Event is %q", e)
				}
			}
		})
	}
}
