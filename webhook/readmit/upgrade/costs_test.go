package upgrade

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCosts(t *testing.T) {
	const gpu, npu, cpu = 50 * time.Millisecond, 150 * time.Millisecond, time.Second
	at := func(takes time.Duration, cost int) Replica { return Replica{Takes: takes, Cost: cost} }
	for name, c := range map[string]struct {
		replicas []Replica
		want     map[int]int
	}{
		"one":                       {[]Replica{at(gpu, 0)}, nil},
		"all alike":                 {[]Replica{at(gpu, 0), at(gpu, 0), at(gpu, 100)}, nil},
		"new":                       {[]Replica{at(gpu, 0), at(npu, 0), at(cpu, 0), at(gpu, 0)}, map[int]int{0: 200, 1: 100, 3: 200}},
		"in order":                  {[]Replica{at(gpu, 200), at(npu, 100), at(cpu, 0)}, nil},
		"in order without the last": {[]Replica{at(gpu, 200), at(npu, 100)}, nil},
		"a faster one more":         {[]Replica{at(gpu, 0), at(npu, 100), at(cpu, 0)}, map[int]int{0: 200}},
		"a slower one more":         {[]Replica{at(gpu, 100), at(npu, 0), at(cpu, 0)}, map[int]int{0: 200, 1: 100}},
		"the times have turned":     {[]Replica{at(gpu, 0), at(npu, 100)}, map[int]int{0: 100, 1: 0}},
		"somebody else's":           {[]Replica{at(gpu, 0), {Takes: npu, Cost: 7, Own: true}}, nil},
		"of an unknown speed":       {[]Replica{at(gpu, 0), at(0, 0)}, nil},
	} {
		got := Costs(c.replicas)
		if diff := cmp.Diff(c.want, got); diff != "" && len(c.want)+len(got) > 0 {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for i, cost := range got {
			c.replicas[i].Cost = cost
		}
		if again := Costs(c.replicas); len(again) > 0 {
			t.Errorf("%s: they are not in order afterwards: %v", name, again)
		}
	}
}
