package resources

import (
	"cmp"
	"encoding/binary"
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
)

// Amounts are what a node has or a pod requests: CPU in milli-cores, memory and
// ephemeral storage in bytes, and devices by extended resource. They are shared
// between records: never change Devices in place.
type Amounts struct {
	CPU, Memory, Storage int64
	Devices              []Devices
}

// Devices is a count of one extended resource.
type Devices struct {
	Resource string
	Count    int64
}

// Max bounds every amount read (a petabyte, a trillion cores), so that no sum
// over the pods of a node can overflow: anyone may write a pod that names a
// node and requests 2^63 devices, and it counts until the kubelet rejects it.
const Max = 1 << 50

// Bounded is n, at least 0 and at most Max.
func Bounded(n int64) int64 { return min(max(0, n), Max) }

// Whole is a bounded whole number. The sign is looked at first: Value wraps where a
// negative quantity has many digits, as -100000Gi, and is above 0 then.
func Whole(q *resource.Quantity) int64 {
	if q.Sign() <= 0 {
		return 0
	}
	return Bounded(q.Value())
}

// MilliCores is a bounded number of milli-cores. Those of more than 2^53 cores
// do not fit in an int64.
func MilliCores(q *resource.Quantity) int64 {
	switch {
	case q.Sign() <= 0:
		return 0
	case q.Value() >= Max/1000:
		return Max
	}
	return Bounded(q.MilliValue())
}

// Of reads a ResourceList. It leaves out what no decision depends on, such as
// huge pages: kube-scheduler accounts for those.
func Of(list corev1.ResourceList) Amounts {
	r := Amounts{
		CPU:     MilliCores(list.Cpu()),
		Memory:  Whole(list.Memory()),
		Storage: Whole(list.StorageEphemeral()),
	}
	for name, q := range list {
		if count := Whole(&q); count > 0 && accel.IsDeviceResource(name) {
			r.Devices = append(r.Devices, Devices{unique.Make(string(name)).Value(), count})
		}
	}
	slices.SortFunc(r.Devices, func(a, b Devices) int { return cmp.Compare(a.Resource, b.Resource) })
	return r
}

// Equal reports whether both are the same amounts, devices in the same order.
func (r Amounts) Equal(o Amounts) bool {
	return r.CPU == o.CPU && r.Memory == o.Memory && r.Storage == o.Storage && slices.Equal(r.Devices, o.Devices)
}

// AppendKey appends an encoding of the amounts to key: the same bytes for equal
// amounts, and never the prefix of another's.
func (r Amounts) AppendKey(key []byte) []byte {
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
func (r Amounts) Device(resource string) int64 {
	for _, d := range r.Devices {
		if d.Resource == resource {
			return d.Count
		}
	}
	return 0
}

// Plus returns r + sign·o; r and o are not changed.
func (r Amounts) Plus(o Amounts, sign int64) Amounts {
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

// With returns r with count more of a device; r is not changed.
func (r Amounts) With(resource string, count int64) Amounts {
	r = r.Plus(Amounts{Devices: []Devices{{resource, count}}}, 1)
	slices.SortFunc(r.Devices, func(a, b Devices) int { return cmp.Compare(a.Resource, b.Resource) })
	return r
}
