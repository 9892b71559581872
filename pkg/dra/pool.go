package dra

import (
	"unique"

	resourcev1 "k8s.io/api/resource/v1"
)

// id names a device.
type id struct{ driver, pool, device string }

func (i id) String() string { return i.driver + "/" + i.pool + "/" + i.device }

// poolID names a pool.
type poolID struct{ driver, pool string }

// device is what is kept of a device. It is immutable but for what classes select it.
type device struct {
	id
	node string
	// encoded is the device in the API's encoding, without its taints: it is read again
	// when a class changes, and for claims of a part of it.
	encoded string
	slots   int64
	// tainted is set where its driver keeps claims off.
	tainted bool
	// classes are the resources of the classes that select it, sorted.
	classes []string
}

// decode reads the device as its driver wrote it, without taints.
func (d *device) decode() *resourcev1.Device {
	var out resourcev1.Device
	if err := out.Unmarshal([]byte(d.encoded)); err != nil {
		return &resourcev1.Device{Name: d.id.device} // it was encoded by encode
	}
	return &out
}

// slice is what is kept of a ResourceSlice.
type slice struct {
	pool              poolID
	generation, count int64
	devices           []*device
}

// sliceOf reads a ResourceSlice, ok false for one that is not of a node.
func sliceOf(s *resourcev1.ResourceSlice) (out *slice, ok bool) {
	if s.Spec.NodeName == nil || *s.Spec.NodeName == "" {
		return nil, false
	}
	intern := func(s string) string { return unique.Make(s).Value() }
	out = &slice{
		pool:       poolID{intern(s.Spec.Driver), intern(s.Spec.Pool.Name)},
		generation: s.Spec.Pool.Generation, count: s.Spec.Pool.ResourceSliceCount,
		devices: make([]*device, 0, len(s.Spec.Devices)),
	}
	node := intern(*s.Spec.NodeName)
	for i := range s.Spec.Devices {
		in := s.Spec.Devices[i]
		d := &device{id: id{out.pool.driver, out.pool.pool, intern(in.Name)}, node: node, slots: Slots(&in)}
		for _, t := range in.Taints {
			d.tainted = d.tainted || keepsOff(t)
		}
		in.Taints = nil
		encoded, err := in.Marshal()
		if err != nil {
			continue // the API server sent it encoded
		}
		d.encoded = string(encoded)
		out.devices = append(out.devices, d)
	}
	return out, true
}

// current are the devices of a pool, by name: those of the newest generation of its
// slices, none while one of these is missing or where two devices have one name.
func current(slices map[string]*slice) map[string]*device {
	var newest []*slice
	for _, s := range slices {
		if len(newest) > 0 && s.generation < newest[0].generation {
			continue
		}
		if len(newest) > 0 && s.generation > newest[0].generation {
			newest = newest[:0]
		}
		newest = append(newest, s)
	}
	devices := map[string]*device{}
	for _, s := range newest {
		if s.count != int64(len(newest)) {
			return nil
		}
		for _, d := range s.devices {
			if devices[d.id.device] != nil {
				return nil
			}
			devices[d.id.device] = d
		}
	}
	return devices
}
