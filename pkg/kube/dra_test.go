package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/dra"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/serve/servetest"
)

// draServer has a GPU on a node, whose claim is allocated, and answers lists of each
// resource with a status, 0 for OK.
type draServer struct {
	mu       sync.Mutex
	statuses map[string]int
	asked    map[string]int
}

func (s *draServer) answer(resource string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statuses[resource] = status
}

func (s *draServer) lists(resource string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[resource]
}

func (s *draServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resource := strings.TrimPrefix(r.URL.Path, "/apis/resource.k8s.io/v1/")
	s.mu.Lock()
	status := s.statuses[resource]
	s.asked[resource]++
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	q := r.URL.Query()
	switch {
	case status != 0:
		reason := map[int]metav1.StatusReason{403: metav1.StatusReasonForbidden, 404: metav1.StatusReasonNotFound}[status]
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(metav1.Status{Status: metav1.StatusFailure, Reason: reason, Code: int32(status), Message: resource + " is forbidden"})
	case q.Get("sendInitialEvents") != "":
		w.WriteHeader(http.StatusUnprocessableEntity) // a server that cannot stream lists
	case q.Get("watch") != "":
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	default:
		_ = json.NewEncoder(w).Encode(draList(resource))
	}
}

func draList(resource string) any {
	meta := metav1.ListMeta{ResourceVersion: "1"}
	of := func(kind string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: resourcev1.SchemeGroupVersion.String(), Kind: kind}
	}
	switch resource {
	case "deviceclasses":
		return resourcev1.DeviceClassList{TypeMeta: of("DeviceClassList"), ListMeta: meta, Items: []resourcev1.DeviceClass{{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}}}
	case "resourceslices":
		return resourcev1.ResourceSliceList{TypeMeta: of("ResourceSliceList"), ListMeta: meta, Items: []resourcev1.ResourceSlice{{
			ObjectMeta: metav1.ObjectMeta{Name: "s"},
			Spec: resourcev1.ResourceSliceSpec{
				Driver: "d", NodeName: new("n"), Pool: resourcev1.ResourcePool{Name: "n", Generation: 1, ResourceSliceCount: 1},
				Devices: []resourcev1.Device{{Name: "a"}, {Name: "b"}, {Name: "c"}},
			},
		}}}
	case "resourceclaims":
		return resourcev1.ResourceClaimList{TypeMeta: of("ResourceClaimList"), ListMeta: meta, Items: []resourcev1.ResourceClaim{*allocatedClaim()}}
	case "devicetaintrules":
		return resourcev1.DeviceTaintRuleList{TypeMeta: of("DeviceTaintRuleList"), ListMeta: meta, Items: []resourcev1.DeviceTaintRule{{
			ObjectMeta: metav1.ObjectMeta{Name: "r"},
			Spec: resourcev1.DeviceTaintRuleSpec{
				DeviceSelector: &resourcev1.DeviceTaintSelector{Device: new("b")}, Taint: resourcev1.DeviceTaint{Key: "k", Effect: resourcev1.DeviceTaintEffectNoSchedule},
			},
		}}}
	}
	return metav1.Status{}
}

func allocatedClaim() *resourcev1.ResourceClaim {
	return &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "c"},
		Status: resourcev1.ResourceClaimStatus{
			Allocation:  &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{{Driver: "d", Pool: "n", Device: "a"}}}},
			ReservedFor: []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: "p", UID: "1"}},
		},
	}
}

// TestWatchDRA: what the API server has counts; what it lacks, or we may not list, is
// reported once and holds nothing up.
func TestWatchDRA(t *testing.T) {
	type numbers struct{ Capacity, Held, Usable int64 }
	tests := map[string]struct {
		statuses map[string]int
		want     numbers
		wrong    map[string]string // what is said of each
	}{
		"all there":                 {nil, numbers{3, 1, 1}, map[string]string{}},
		"no DeviceTaintRules":       {map[string]int{"devicetaintrules": 404}, numbers{3, 1, 2}, map[string]string{}},
		"rules forbidden":           {map[string]int{"devicetaintrules": 403}, numbers{3, 1, 2}, map[string]string{"devicetaintrules": "grant get, list and watch on devicetaintrules.resource.k8s.io"}},
		"claims forbidden":          {map[string]int{"resourceclaims": 403}, numbers{3, 0, 2}, map[string]string{"resourceclaims": "grant get, list and watch"}},
		"an older Kubernetes":       {map[string]int{"deviceclasses": 404, "resourceslices": 404, "resourceclaims": 404, "devicetaintrules": 404}, numbers{}, map[string]string{"deviceclasses": "does not serve", "resourceslices": "does not serve", "resourceclaims": "does not serve"}},
		"classes, but no slice yet": {map[string]int{"resourceslices": 403}, numbers{}, map[string]string{"resourceslices": "grant"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &draServer{statuses: map[string]int{}, asked: map[string]int{}}
			for resource, status := range tt.statuses {
				server.answer(resource, status)
			}
			s := httptest.NewServer(server)
			t.Cleanup(s.Close)
			client := kubernetes.NewForConfigOrDie(&rest.Config{Host: s.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
			inv := inventory.New(inventory.Options{})
			inv.SetNode(inventory.NodeOf(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}))
			var mu sync.Mutex
			said := map[string][]string{}
			feeds := &Feeds{client: client}
			feeds.watchDRA(dra.New(inv, func(err error) { t.Error(err) }), optional{feeds, client.ResourceV1().RESTClient(), 20 * time.Millisecond, func(resource string, err error) {
				mu.Lock()
				defer mu.Unlock()
				said[resource] = append(said[resource], fmt.Sprint(err))
			}})
			if feeds.Synced() == nil {
				t.Error("synced before anything was listed")
			}
			ctx, cancel := context.WithCancel(t.Context())
			var run sync.WaitGroup
			t.Cleanup(func() { cancel(); run.Wait() })
			run.Go(func() { _ = feeds.Run(ctx) })
			servetest.Until(t, feeds.Synced)
			got := func() numbers {
				n, r := inv.Lookup([]string{"n"})[0], accel.ClassResource("gpu")
				return numbers{n.Capacity.Device(r), n.Held.Device(r), n.Usable(r, true)}
			}
			if diff := cmp.Diff(tt.want, got()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// Each is asked for again; what is wrong with it is said once.
			for resource := range tt.statuses {
				before := server.lists(resource)
				servetest.Eventually(t, resource+" is listed again", func() bool { return server.lists(resource) > before })
			}
			mu.Lock()
			if len(said) != len(tt.wrong) {
				t.Errorf("said %q, want %q", said, tt.wrong)
			}
			for resource, want := range tt.wrong {
				if of := said[resource]; len(of) != 1 || !strings.Contains(of[0], want) {
					t.Errorf("said of %s %q, want once: %q", resource, of, want)
				}
			}
			mu.Unlock()
			if err := feeds.Refresh(t.Context()); err != nil {
				t.Errorf("refresh: %v", err)
			}
			// Once they can be listed they count.
			for resource := range tt.statuses {
				server.answer(resource, 0)
			}
			servetest.Eventually(t, "everything counts", func() bool { return got() == numbers{3, 1, 1} })
			mu.Lock()
			defer mu.Unlock()
			for resource := range tt.wrong {
				if of := said[resource]; len(of) != 2 || of[1] != "<nil>" {
					t.Errorf("said of %s %q, want that it can be listed", resource, of)
				}
			}
		})
	}
}

// TestReduceClaimed: of a claim remains what was allocated and for whom, what controls it,
// and the name of its request.
func TestReduceClaimed(t *testing.T) {
	c := allocatedClaim()
	c.Labels, c.ManagedFields, c.Finalizers = map[string]string{"l": "1"}, []metav1.ManagedFieldsEntry{{Manager: "m"}}, []string{"f"}
	c.Annotations = map[string]string{resourcev1.ExtendedResourceClaimAnnotation: "true", "other": strings.Repeat("x", 1<<10)}
	c.OwnerReferences = []metav1.OwnerReference{{Name: "o"}, {Name: "pod", Controller: new(true)}}
	c.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Name: "r", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "class"}}}
	c.Status.Allocation.Devices.Config = []resourcev1.DeviceAllocationConfiguration{{Source: "FromClaim"}}
	c.Status.Devices = []resourcev1.AllocatedDeviceStatus{{Driver: "d"}}
	want := allocatedClaim()
	want.Annotations = map[string]string{resourcev1.ExtendedResourceClaimAnnotation: "true"}
	want.OwnerReferences = []metav1.OwnerReference{{Name: "pod", Controller: new(true)}}
	want.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Name: "r"}}
	got, err := reduceClaimed(c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	waiting := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: "w", UID: types.UID("1")}, Spec: c.Spec}
	got, err = reduceClaimed(waiting)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: "w", UID: "1"}, Spec: want.Spec}, got); diff != "" {
		t.Errorf("not allocated (-want +got):\n%s", diff)
	}
}
