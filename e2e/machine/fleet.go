package machine

import "fmt"

// G is the paper's node with a GPU.
func G() *Machine {
	return &Machine{
		Name: "g", CPU: "11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", MHz: 2800,
		Cores: 8, MemoryGiB: 16, Devices: []Device{GPU(0, 1)},
	}
}

// F is the paper's node with an FPGA.
func F() *Machine {
	return &Machine{
		Name: "f", CPU: "Intel(R) Xeon(R) CPU E5-1650 v3 @ 3.50GHz", MHz: 3500,
		Cores: 12, MemoryGiB: 32, Devices: []Device{FPGA(0)},
	}
}

// N is the paper's node with a Neural Compute Stick 2.
func N() *Machine {
	return &Machine{
		Name: "n", CPU: "Intel(R) Xeon(R) CPU           X5550  @ 2.67GHz", MHz: 2660,
		Cores: 8, MemoryGiB: 12, Devices: []Device{Stick(0)},
	}
}

// Paper returns the paper's three machines: G, F and N.
func Paper() []*Machine { return []*Machine{G(), F(), N()} }

// OnDRA has a DRA driver serve the devices of machines, and returns them.
func OnDRA(machines []*Machine) []*Machine {
	for _, m := range machines {
		for i := range m.Devices {
			m.Devices[i].Resource = ""
		}
	}
	return machines
}

// Shape is how many devices of each kind a machine of a fleet has.
type Shape struct {
	// GPUs, NPUs and FPGAs count PCI devices, one slot each; Sticks Neural
	// Compute Sticks.
	GPUs, NPUs, FPGAs, Sticks int
	// Cores and MemoryGiB are 16 and 64 when zero.
	Cores, MemoryGiB int
}

// Fleet returns n machines called node-000, node-001, … that take the shapes
// in turn: Fleet(20, Shape{GPUs: 2, NPUs: 2, FPGAs: 1}) has 100 devices.
func Fleet(n int, shapes ...Shape) []*Machine {
	if len(shapes) == 0 {
		shapes = []Shape{{}}
	}
	machines := make([]*Machine, n)
	for i := range machines {
		machines[i] = shapes[i%len(shapes)].Machine(fmt.Sprintf("node-%03d", i))
	}
	return machines
}

// Machine returns a machine of the shape.
func (s Shape) Machine(name string) *Machine {
	m := &Machine{
		Name: name, CPU: "Intel(R) Core(TM) Ultra 7 258V", MHz: 2200,
		Cores: s.Cores, MemoryGiB: s.MemoryGiB,
	}
	if m.Cores == 0 {
		m.Cores = 16
	}
	if m.MemoryGiB == 0 {
		m.MemoryGiB = 64
	}
	for i := range s.GPUs {
		m.Devices = append(m.Devices, GPU(i, 1))
	}
	for i := range s.NPUs {
		m.Devices = append(m.Devices, NPU(i, 1))
	}
	for i := range s.FPGAs {
		m.Devices = append(m.Devices, FPGA(i))
	}
	for i := range s.Sticks {
		m.Devices = append(m.Devices, Stick(i))
	}
	return m
}
