package inventory

import (
	"cmp"
	"encoding/binary"
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
)

// Resources is an amount of what a node has or a pod needs: CPU in
// milli-cores, memory and ephemeral storage in bytes, and devices by extended
// resource. It is shared between records: never change one that was handed out.
type Resources struct {
	CPU, Memory, Storage int64
	Devices              []Devices
}

// Devices is a count of one extended resource.
type Devices struct {
	Resource string
	Count    int64
}

// most bounds every amount read (a petabyte, a trillion cores), so that no sum
// over the pods of a node can overflow: anyone may write a pod that names a
// node and asks for 2^63 devices, and until the kubelet refuses it it counts.
const most = 1 << 50

func bounded(n int64) int64 { return min(max(0, n), most) }

// milli is a bounded number of milli-cores, which of cores beyond 2^53 does not
// fit in an int64.
func milli(q *resource.Quantity) int64 {
	if q.Value() >= most/1000 {
		return most
	}
	return bounded(q.MilliValue())
}

// ResourcesOf reads a ResourceList. Resources that no decision turns on are
// left to kube-scheduler.
func ResourcesOf(list corev1.ResourceList) Resources {
	r := Resources{
		CPU:     milli(list.Cpu()),
		Memory:  bounded(list.Memory().Value()),
		Storage: bounded(list.StorageEphemeral().Value()),
	}
	for name, q := range list {
		if count := bounded(q.Value()); count > 0 && accel.IsDeviceResource(name) {
			r.Devices = append(r.Devices, Devices{unique.Make(string(name)).Value(), count})
		}
	}
	slices.SortFunc(r.Devices, func(a, b Devices) int { return cmp.Compare(a.Resource, b.Resource) })
	return r
}

func (r Resources) equal(o Resources) bool {
	return r.CPU == o.CPU && r.Memory == o.Memory && r.Storage == o.Storage && slices.Equal(r.Devices, o.Devices)
}

// appendKey appends bytes that are the same for the same resources, and the
// start of those of no others.
func (r Resources) appendKey(key []byte) []byte {
	key = binary.AppendVarint(key, r.CPU)
	key = binary.AppendVarint(key, r.Memory)
	key = binary.AppendVarint(key, r.Storage)
	key = binary.AppendUvarint(key, uint64(len(r.Devices)))
	for _, d := range r.Devices {
		key = binary.AppendUvarint(key, uint64(len(d.Resource)))
		key = append(key, d.Resource...)
		key = binary.AppendVarint(key, d.Count)
	}
	return key
}

// Device is the count of one extended resource, 0 when there is none.
func (r Resources) Device(resource string) int64 {
	for _, d := range r.Devices {
		if d.Resource == resource {
			return d.Count
		}
	}
	return 0
}

// plus returns r + sign·o in a new record.
func (r Resources) plus(o Resources, sign int64) Resources {
	r.CPU += sign * o.CPU
	r.Memory += sign * o.Memory
	r.Storage += sign * o.Storage
	if len(o.Devices) == 0 {
		return r
	}
	r.Devices = slices.Clone(r.Devices)
	for _, d := range o.Devices {
		i := slices.IndexFunc(r.Devices, func(e Devices) bool { return e.Resource == d.Resource })
		if i < 0 {
			r.Devices = append(r.Devices, Devices{d.Resource, sign * d.Count})
			continue
		}
		r.Devices[i].Count += sign * d.Count
	}
	r.Devices = slices.DeleteFunc(r.Devices, func(e Devices) bool { return e.Count == 0 })
	return r
}
