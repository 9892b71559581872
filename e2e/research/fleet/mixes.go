package fleet

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"heteroaccel.io/pkg/accel"
)

// kinds are the usual four: their part of the slots, and how long they take
// for the same work, where GPUs take 1.
var kinds = []struct {
	name         accel.Kind
	part, effort float64
}{{"GPU", .2, 1}, {"NPU", .3, 2}, {"FPGA", .1, 3}, {"CPU", .4, 6}}

// typical is the service time of usual work on a GPU: long enough that the
// start-up of a pod does not drown it.
const typical = 10 * time.Second

// mixes draw the service times of one type by kind, in seconds on top of
// typical; 0 is no variant.
var mixes = map[string]func(r *rand.Rand, i int) []float64{
	// Kinds differ in speed, and all types agree on by how much: no mix is
	// better than another.
	"aligned": func(r *rand.Rand, _ int) []float64 {
		return scaled(lognormal(r, .5), func(int) float64 { return 1 })
	},
	// Every type has affinities of its own.
	"random": func(r *rand.Rand, _ int) []float64 {
		return scaled(lognormal(r, .5), func(int) float64 { return lognormal(r, .8) })
	},
	// Every type has affinities of its own and some kinds cannot run it.
	"sparse": func(r *rand.Rand, _ int) []float64 {
		return scaled(lognormal(r, .8), func(j int) float64 {
			if j > 0 && r.Float64() < .4 {
				return 0
			}
			return lognormal(r, .8)
		})
	},
	// Every type is made for one kind and takes three to eight times as long
	// on any other.
	"specialists": func(r *rand.Rand, i int) []float64 {
		base, home := lognormal(r, .3), i%len(kinds)
		service := make([]float64, len(kinds))
		for j := range service {
			service[j] = base
			if j != home {
				service[j] *= 3 + 5*r.Float64()
			}
		}
		return service
	},
	// Everything is best on the GPU; what gains little there keeps away what
	// gains much, unless somebody minds.
	"crossed": func(r *rand.Rand, i int) []float64 {
		loss := 1.2
		if i%2 == 1 {
			loss = 10
		}
		base := lognormal(r, .3)
		return []float64{base, base * loss * 1.1, base * loss * 1.3, base * loss * 1.5}
	},
	// Short work that gains much by the GPU and long work that gains little:
	// in seconds, the long gains more.
	"lengths": func(r *rand.Rand, i int) []float64 {
		base, loss := .4*lognormal(r, .2), 8.0
		if i%2 == 1 {
			base, loss = 4*lognormal(r, .2), 2
		}
		return []float64{base, base * loss, base * loss, base * loss}
	},
}

// Mixes are the names of all mixes, sorted.
func Mixes() []string { return slices.Sorted(maps.Keys(mixes)) }

// New draws a fleet of a mix with so many slots and types.
func New(mix string, slots, types int, seed uint64) (*Fleet, error) {
	draw, ok := mixes[mix]
	if !ok {
		return nil, fmt.Errorf("there is no mix %q: choose of %s", mix, strings.Join(Mixes(), ", "))
	}
	if slots < len(kinds) || types < 1 {
		return nil, fmt.Errorf("%d slots and %d types are too few: a fleet needs %d slots and 1 type", slots, types, len(kinds))
	}
	f := &Fleet{Name: mix}
	left := slots
	for j, k := range kinds {
		n := max(1, int(math.Round(k.part*float64(slots))))
		if n = min(n, left-(len(kinds)-1-j)); j == len(kinds)-1 {
			n = left
		}
		left -= n
		f.Kinds = append(f.Kinds, Kind{k.name, n})
	}
	r := rand.New(rand.NewPCG(seed, 0xf1ee7))
	f.Nodes = deal(r, f.Kinds)
	var sum float64
	for i := range types {
		service := draw(r, i)
		t := Type{Name: fmt.Sprintf("%s-%d", mix, i), Service: make([]time.Duration, len(service))}
		for j, s := range service {
			t.Service[j] = time.Duration(s * float64(typical))
		}
		t.Share = lognormal(r, 1)
		sum += t.Share
		f.Types = append(f.Types, t)
	}
	for i := range f.Types {
		f.Types[i].Share /= sum
	}
	return f, nil
}

// deal shuffles the slots onto nodes of two each.
func deal(r *rand.Rand, of []Kind) []Node {
	const each = 2
	var slots []int
	for j, k := range of {
		for range k.Slots {
			slots = append(slots, j)
		}
	}
	r.Shuffle(len(slots), func(a, b int) { slots[a], slots[b] = slots[b], slots[a] })
	var nodes []Node
	for some := range slices.Chunk(slots, each) {
		n := Node{Slots: make([]int, len(of))}
		for _, j := range some {
			n.Slots[j]++
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// scaled is base on every kind by its effort, times a factor of the type's own.
func scaled(base float64, factor func(kind int) float64) []float64 {
	service := make([]float64, len(kinds))
	for j, k := range kinds {
		service[j] = base * k.effort * factor(j)
	}
	return service
}

// lognormal draws around a median of 1.
func lognormal(r *rand.Rand, sigma float64) float64 { return math.Exp(sigma * r.NormFloat64()) }

// Paper is the cluster of the paper's experiment, the rates of its Table 4
// made service times and stretched: three nodes with one GPU, FPGA and NPU,
// and cores for one run at a time. Each of the four inferences takes the same.
func Paper(stretch float64) *Fleet {
	rates := []struct {
		kind      accel.Kind
		perSecond float64
	}{{"GPU", 13.2}, {"FPGA", 1 / 19.542}, {"NPU", 6.86}, {"CPU", 1.89}}
	f := &Fleet{Name: "paper", Nodes: []Node{{[]int{1, 0, 0, 1}}, {[]int{0, 1, 0, 0}}, {[]int{0, 0, 1, 0}}}}
	service := make([]time.Duration, len(rates))
	for j, k := range rates {
		f.Kinds = append(f.Kinds, Kind{k.kind, 1})
		service[j] = time.Duration(stretch / k.perSecond * float64(time.Second))
	}
	for _, name := range []string{"face-recognition", "action-recognition", "text-recognition", "object-detection"} {
		f.Types = append(f.Types, Type{Name: name, Share: .25, Service: service})
	}
	return f
}
