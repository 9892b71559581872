package policy

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
)

// TestFourAtOnce decides four times in a row, before any pod is seen, on the
// paper's three nodes: each pod gets another accelerator, the fastest first, and
// once the three are taken, cores.
func TestFourAtOnce(t *testing.T) {
	inv := inventory.New(inventory.Options{Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	for name, device := range map[string]string{
		"g": "gpu.intel.com/i915", "f": "fpga.intel.com/arria10", "n": "vpu.intel.com/hddl",
	} {
		has := corev1.ResourceList{
			"cpu": resource.MustParse("4"), "memory": resource.MustParse("8Gi"), "pods": resource.MustParse("110"),
			corev1.ResourceName(device): resource.MustParse("1"),
		}
		inv.SetNode(inventory.NodeOf(&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Status:     corev1.NodeStatus{Allocatable: has, Capacity: has},
		}))
	}
	option := func(k accel.Kind, service time.Duration, resourceName, amount string) inventory.Option {
		return inventory.Option{Kind: k, Service: service, Needs: resources.Of(corev1.ResourceList{
			corev1.ResourceName(resourceName): resource.MustParse(amount),
		})}
	}
	options := []inventory.Option{
		option("GPU", 76*ms, "gpu.intel.com/i915", "1"),
		option("NPU", 146*ms, "vpu.intel.com/hddl", "1"),
		option("FPGA", 250*ms, "fpga.intel.com/arria10", "1"),
		option("CPU", 529*ms, "cpu", "2"),
	}
	for name, policy := range policies {
		t.Run(name, func(t *testing.T) {
			want := []accel.Kind{"GPU", "NPU", "FPGA", "CPU", "CPU", "CPU", "CPU", "CPU", "CPU"} // two slots a node
			for i, k := range want {
				query := inventory.Query{Namespace: name, Options: options, Reservation: fmt.Sprint("r", i)}
				got := inv.Decide(query, func(c []inventory.Candidate) int { return policy(c)[0].Index })
				if got.Kind != k || got.Idle() == 0 {
					t.Errorf("decision %d: got %s with %d idle, want an idle %s", i+1, got.Kind, got.Idle(), k)
				}
			}
			query := inventory.Query{Namespace: name, Options: options}
			if got := inv.Decide(query, func(c []inventory.Candidate) int { return policy(c)[0].Index }); got.Idle() > 0 {
				t.Errorf("one more: %s is said to be idle", got.Kind)
			}
			for i := range want { // their pods come and end
				inv.SetPod(&inventory.Pod{
					Namespace: name, Name: fmt.Sprint("p", i), Done: true,
					Managed: &inventory.Managed{Reservation: fmt.Sprint("r", i)}, Run: &inventory.Run{},
				})
			}
		})
	}
}
