package podresources

import (
	"testing"

	"google.golang.org/protobuf/proto"
	api "k8s.io/kubelet/pkg/apis/podresources/v1"
)

// FuzzAnswer: of whatever is an answer on the wire, every slot is there once, each
// is held by a container that lists it, no claim is without a device, and nothing is
// there that the answer does not have.
func FuzzAnswer(f *testing.F) {
	for _, pods := range [][]*api.PodResources{
		nil,
		{{Namespace: "ns", Name: "p", Containers: []*api.ContainerResources{{Name: "c", Devices: []*api.ContainerDevices{devices("a.com/gpu", "card0-0", "card0-1")}}}}},
		{{Name: "q", Containers: []*api.ContainerResources{{Name: "c", DynamicResources: []*api.DynamicResource{{ClaimName: "one", ClaimNamespace: "ns", ClaimResources: []*api.ClaimResource{
			{DriverName: "gpu.intel.com", PoolName: "n", DeviceName: "d", CdiDevices: []*api.CDIDevice{{Name: "intel.com/gpu=d"}}}, {},
		}}}}}}},
	} {
		list, err := proto.Marshal(&api.ListPodResourcesResponse{PodResources: pods})
		if err != nil {
			f.Fatal(err)
		}
		all, err := proto.Marshal(&api.AllocatableResourcesResponse{Devices: []*api.ContainerDevices{devices("a.com/gpu", "card0-0"), devices("", "")}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(list, all)
	}
	f.Fuzz(func(t *testing.T, list, all []byte) {
		var pods api.ListPodResourcesResponse
		var allocatable api.AllocatableResourcesResponse
		if proto.Unmarshal(list, &pods) != nil || proto.Unmarshal(all, &allocatable) != nil {
			return
		}
		listed := map[Slot]bool{}
		for _, d := range allocatable.Devices {
			for _, id := range d.DeviceIds {
				listed[Slot{d.ResourceName, id}] = true
			}
		}
		slots := allocatableSlots(&allocatable)
		for s := range slots {
			if !listed[s] {
				t.Errorf("%+v is not in the answer", s)
			}
		}
		if len(slots) != len(listed) {
			t.Errorf("%d slots, want %d", len(slots), len(listed))
		}
		type holding struct {
			Slot
			Holder
		}
		held, claimed := map[holding]bool{}, 0
		holders := map[Slot]bool{}
		for _, p := range pods.PodResources {
			for _, c := range p.Containers {
				for _, d := range c.Devices {
					for _, id := range d.DeviceIds {
						s := Slot{d.ResourceName, id}
						holders[s], held[holding{s, Holder{p.Namespace, p.Name, c.Name}}] = true, true
					}
				}
				for _, r := range c.DynamicResources {
					for _, d := range r.ClaimResources {
						if d.DeviceName != "" {
							claimed++
						}
					}
				}
			}
		}
		got := heldSlots(&pods)
		for s, h := range got {
			if !held[holding{s, h}] {
				t.Errorf("%+v does not hold %+v", h, s)
			}
		}
		if len(got) != len(holders) {
			t.Errorf("%d slots are held, want %d", len(got), len(holders))
		}
		own := claims(&pods)
		for _, c := range own {
			if c.Device == "" {
				t.Errorf("a claim without a device: %+v", c)
			}
		}
		if len(own) != claimed {
			t.Errorf("%d claims, want %d", len(own), claimed)
		}
	})
}
