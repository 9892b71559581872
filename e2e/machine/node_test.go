package machine_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/machine"
)

func TestNode(t *testing.T) {
	for name, test := range map[string]struct {
		machine *machine.Machine
		want    map[string]string // allocatable
	}{
		"G": {machine.G(), map[string]string{"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi", "gpu.intel.com/i915": "1"}},
		"F": {machine.F(), map[string]string{"cpu": "12", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi", "fpga.intel.com/arria10.dcp1.2-nlb0": "1"}},
		"N": {machine.N(), map[string]string{"cpu": "8", "memory": "12Gi", "pods": "110", "ephemeral-storage": "100Gi", "vpu.intel.com/hddl": "1"}},
		"mixed": {
			machine.Shape{GPUs: 2, NPUs: 1, FPGAs: 1, Cores: 4, MemoryGiB: 8}.Machine("m"),
			map[string]string{"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi", "gpu.intel.com/i915": "2", "npu.intel.com/accel": "1", "fpga.intel.com/arria10.dcp1.2-nlb0": "1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			node := test.machine.Node("v1.36.3")
			got := map[string]string{}
			for resource, amount := range node.Status.Allocatable {
				got[string(resource)] = amount.String()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("allocatable (-want +got):\n%s", diff)
			}
			if got := node.Status.NodeInfo.KubeletVersion; got != "v1.36.3" {
				t.Errorf("the kubelet is %s, want v1.36.3", got)
			}
			if node.Labels["kubernetes.io/hostname"] != node.Name {
				t.Errorf("labels are %v, want the hostname %s among them", node.Labels, node.Name)
			}
		})
	}
}

// TestFleet checks the cluster of 100 devices, and that names, addresses and
// device files differ on each machine.
func TestFleet(t *testing.T) {
	fleet := machine.Fleet(20, machine.Shape{GPUs: 2, NPUs: 2, FPGAs: 1})
	devices, names := 0, map[string]bool{}
	for _, m := range fleet {
		names[m.Name] = true
		seen := map[string]bool{}
		for _, d := range m.Devices {
			devices++
			for _, unique := range []string{d.Name, string(d.Bus) + d.Address, d.Node, d.Resource + d.IDs[0]} {
				if seen[unique] {
					t.Errorf("%s: %s is there twice", m.Name, unique)
				}
				seen[unique] = true
			}
		}
	}
	if devices != 100 || len(names) != 20 {
		t.Errorf("the fleet has %d devices on %d machines, want 100 on 20", devices, len(names))
	}
}
