package dra

import (
	"strings"
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/resources"
)

// TestDevices: which devices of a ResourceSlice count, and as what.
func TestDevices(t *testing.T) {
	two := devices(aDevice("a", "GPU"), aDevice("b", "GPU"))
	tests := map[string]struct {
		slices []*resourcev1.ResourceSlice
		want   numbers
	}{
		"two":             {[]*resourcev1.ResourceSlice{aSlice("n0", two)}, numbers{2, 2, 0, 2}},
		"of another kind": {[]*resourcev1.ResourceSlice{aSlice("n0", devices(aDevice("a", "NPU")))}, numbers{}},
		"one tainted": {[]*resourcev1.ResourceSlice{aSlice("n0", devices(aDevice("a", "GPU"), aDevice("b", "GPU", tainted(resourcev1.DeviceTaintEffectNoSchedule))))},
			numbers{2, 1, 0, 1}},
		"evicted": {[]*resourcev1.ResourceSlice{aSlice("n0", devices(aDevice("a", "GPU", tainted(resourcev1.DeviceTaintEffectNoExecute))))}, numbers{1, 0, 0, 0}},
		"a taint that says something only": {[]*resourcev1.ResourceSlice{aSlice("n0", devices(aDevice("a", "GPU", tainted(resourcev1.DeviceTaintEffectNone))))},
			numbers{1, 1, 0, 1}},
		"shared":     {[]*resourcev1.ResourceSlice{aSlice("n0", devices(aDevice("a", "GPU", shared("4"))))}, numbers{4, 4, 0, 4}},
		"no end":     {[]*resourcev1.ResourceSlice{aSlice("n0", devices(aDevice("a", "GPU", shared("")), aDevice("b", "GPU", shared(""))))}, numbers{resources.Max, resources.Max, 0, resources.Max}},
		"incomplete": {[]*resourcev1.ResourceSlice{aSlice("n0", two, ofPool(1, 2))}, numbers{}},
		"complete": {[]*resourcev1.ResourceSlice{aSlice("n0", two, ofPool(1, 2)), named("second", aSlice("n0", devices(aDevice("c", "GPU")), ofPool(1, 2)))},
			numbers{3, 3, 0, 3}},
		"of an older generation": {[]*resourcev1.ResourceSlice{named("new", aSlice("n0", devices(aDevice("c", "GPU")), ofPool(2, 1))), aSlice("n0", two, ofPool(1, 1))},
			numbers{1, 1, 0, 1}},
		"the newer one is incomplete": {[]*resourcev1.ResourceSlice{aSlice("n0", two), named("new", aSlice("n0", two, ofPool(2, 2)))}, numbers{}},
		"a name twice":                {[]*resourcev1.ResourceSlice{aSlice("n0", devices(aDevice("a", "GPU"), aDevice("a", "GPU")))}, numbers{}},
		"two pools": {[]*resourcev1.ResourceSlice{aSlice("n0", two), named("second", aSlice("n0", two, func(s *resourcev1.ResourceSliceSpec) { s.Pool.Name = "second" }))},
			numbers{4, 4, 0, 4}},
		"for all nodes": {[]*resourcev1.ResourceSlice{aSlice("n0", two, func(s *resourcev1.ResourceSliceSpec) { s.NodeName, s.AllNodes = nil, new(true) })}, numbers{}},
		"of another driver": {[]*resourcev1.ResourceSlice{aSlice("n0", two, func(s *resourcev1.ResourceSliceSpec) { s.Driver = "other.example.com" })},
			numbers{}},
	}
	for name, tt := range tests {
		for _, first := range []string{"class", "slices"} {
			t.Run(name+", "+first+" first", func(t *testing.T) {
				w := newWorld()
				if first == "class" {
					w.SetClass(ofKind("GPU"))
				}
				for _, s := range tt.slices {
					w.SetSlice(s)
				}
				if first != "class" {
					w.SetClass(ofKind("GPU"))
				}
				w.want(t, "n0", "GPU", tt.want)
				for _, s := range tt.slices {
					w.DeleteSlice(s.Name)
				}
				w.want(t, "n0", "GPU", numbers{})
				w.DeleteClass("GPU")
				w.empty(t)
			})
		}
	}
}

func named(name string, s *resourcev1.ResourceSlice) *resourcev1.ResourceSlice {
	s.Name = name
	return s
}

func (w *world) empty(t *testing.T) {
	t.Helper()
	if len(w.classes)+len(w.rules)+len(w.slices)+len(w.pools)+len(w.nodes)+len(w.claims)+len(w.users) > 0 {
		t.Errorf("left behind: %+v", w.Store)
	}
}

// TestSelectors: a class selects what all its expressions do; one that cannot be
// evaluated selects nothing, which is reported once, and harms no other.
func TestSelectors(t *testing.T) {
	tests := map[string]struct {
		class  *resourcev1.DeviceClass
		slots  int64 // of a GPU, a GPU with two, and an NPU
		report string
	}{
		"all devices":      {aClass("c"), 4, ""},
		"one kind":         {ofKind("GPU"), 3, ""},
		"both":             {aClass("c", `device.driver == "devices.heteroaccel.io"`, `device.attributes["devices.heteroaccel.io"].kind == "NPU"`), 1, ""},
		"shared":           {aClass("c", `device.allowMultipleAllocations`), 2, ""},
		"by capacity":      {aClass("c", `"slots" in device.capacity["devices.heteroaccel.io"] && device.capacity["devices.heteroaccel.io"].slots.compareTo(quantity("2")) >= 0`), 2, ""},
		"invalid":          {aClass("c", `device.driver ==`), 0, "DeviceClass c: selector 0"},
		"not a boolean":    {aClass("c", `device.driver`), 0, "DeviceClass c: selector 0"},
		"fails for some":   {aClass("c", `device.attributes["devices.heteroaccel.io"].serial == "x"`), 0, "DeviceClass c: selector 0, for device"},
		"the second fails": {aClass("c", `true`, `1/0 == 1`), 0, "selector 1"},
		"too expensive":    {aClass("c", `["a","b","c","d","e","f","g","h","i","j"].all(x, `+strings.Repeat(`["a","b","c","d","e","f","g","h","i","j"].all(y, `, 6)+`x == x`+strings.Repeat(`)`, 7)), 0, "cost limit"},
		"no expression":    {&resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Spec: resourcev1.DeviceClassSpec{Selectors: []resourcev1.DeviceSelector{{}}}}, 0, "not a CEL expression"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.SetClass(aClass("other"))
			w.SetClass(tt.class)
			w.SetSlice(aSlice("n0", devices(aDevice("a", "GPU"), aDevice("b", "GPU", shared("2")), aDevice("c", "NPU"))))
			w.SetClass(tt.class) // shown again
			w.SetSlice(aSlice("n1", devices(aDevice("c", "NPU"))))
			n := w.inv.Lookup([]string{"n0"})[0]
			got := n.Capacity.Device(accel.ClassResource(tt.class.Name))
			if got != tt.slots {
				t.Errorf("%d slots, want %d", got, tt.slots)
			}
			if all := n.Capacity.Device(accel.ClassResource("other")); all != 4 {
				t.Errorf("%d slots of the other class, want 4", all)
			}
			if tt.report == "" && len(w.reported) > 0 || tt.report != "" && (len(w.reported) != 1 || !strings.Contains(w.reported[0], tt.report)) {
				t.Errorf("reported %q, want once: %q", w.reported, tt.report)
			}
			fixed := ofKind("GPU")
			fixed.Name = tt.class.Name
			w.SetClass(fixed)
			w.want(t, "n0", tt.class.Name, numbers{3, 3, 0, 3})
		})
	}
}

// TestTaintRules: a rule taints what it names, and its end frees it.
func TestTaintRules(t *testing.T) {
	tests := map[string]struct {
		selector *resourcev1.DeviceTaintSelector
		effect   resourcev1.DeviceTaintEffect
		usable   [2]int64 // on n0 and n1
	}{
		"a device":             {&resourcev1.DeviceTaintSelector{Driver: new(driver), Pool: new("n0"), Device: new("a")}, resourcev1.DeviceTaintEffectNoSchedule, [2]int64{1, 2}},
		"of every pool":        {&resourcev1.DeviceTaintSelector{Device: new("a")}, resourcev1.DeviceTaintEffectNoExecute, [2]int64{1, 1}},
		"a pool":               {&resourcev1.DeviceTaintSelector{Pool: new("n1")}, resourcev1.DeviceTaintEffectNoSchedule, [2]int64{2, 0}},
		"all":                  {&resourcev1.DeviceTaintSelector{}, resourcev1.DeviceTaintEffectNoSchedule, [2]int64{0, 0}},
		"none":                 {nil, resourcev1.DeviceTaintEffectNoSchedule, [2]int64{2, 2}},
		"without effect":       {&resourcev1.DeviceTaintSelector{}, resourcev1.DeviceTaintEffectNone, [2]int64{2, 2}},
		"of another driver":    {&resourcev1.DeviceTaintSelector{Driver: new("other.example.com")}, resourcev1.DeviceTaintEffectNoSchedule, [2]int64{2, 2}},
		"a device that is not": {&resourcev1.DeviceTaintSelector{Device: new("z")}, resourcev1.DeviceTaintEffectNoSchedule, [2]int64{2, 2}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.SetClass(ofKind("GPU"))
			r := &resourcev1.DeviceTaintRule{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: resourcev1.DeviceTaintRuleSpec{
				DeviceSelector: tt.selector, Taint: resourcev1.DeviceTaint{Key: "broken", Effect: tt.effect},
			}}
			w.SetSlice(aSlice("n0", devices(aDevice("a", "GPU"), aDevice("b", "GPU"))))
			w.SetTaintRule(r)
			w.SetSlice(aSlice("n1", devices(aDevice("a", "GPU"), aDevice("b", "GPU"))))
			for i, n := range []string{"n0", "n1"} {
				w.want(t, n, "GPU", numbers{2, tt.usable[i], 0, tt.usable[i]})
			}
			w.DeleteTaintRule("r")
			w.want(t, "n0", "GPU", numbers{2, 2, 0, 2})
			w.want(t, "n1", "GPU", numbers{2, 2, 0, 2})
		})
	}
}

// TestClaims: what an allocated claim takes of which class, and of which node.
func TestClaims(t *testing.T) {
	consuming := func(c *resourcev1.ResourceClaim, slots string) *resourcev1.ResourceClaim {
		c.Status.Allocation.Devices.Results[0].ConsumedCapacity = map[resourcev1.QualifiedName]resource.Quantity{"slots": resource.MustParse(slots)}
		return c
	}
	change := func(c *resourcev1.ResourceClaim, f func(*resourcev1.ResourceClaim)) *resourcev1.ResourceClaim {
		f(c)
		return c
	}
	tests := map[string]struct {
		claim *resourcev1.ResourceClaim
		gpu   numbers // has two devices, one with four slots
		all   numbers // has an NPU beside
	}{
		"one":                {aClaim("c", "p", "n0", "a"), numbers{5, 5, 1, 4}, numbers{6, 6, 1, 5}},
		"two":                {aClaim("c", "p", "n0", "a", "c"), numbers{5, 5, 1, 4}, numbers{6, 6, 2, 4}},
		"a slot":             {consuming(aClaim("c", "p", "n0", "b"), "1"), numbers{5, 5, 1, 4}, numbers{6, 6, 1, 5}},
		"three slots":        {consuming(aClaim("c", "p", "n0", "b"), "2500m"), numbers{5, 5, 3, 2}, numbers{6, 6, 3, 3}},
		"not allocated":      {change(aClaim("c", "p", "n0"), func(c *resourcev1.ResourceClaim) { c.Status.Allocation = nil }), numbers{5, 5, 0, 5}, numbers{6, 6, 0, 6}},
		"admin access":       {change(aClaim("c", "p", "n0", "a"), func(c *resourcev1.ResourceClaim) { c.Status.Allocation.Devices.Results[0].AdminAccess = new(true) }), numbers{5, 5, 0, 5}, numbers{6, 6, 0, 6}},
		"a device that went": {aClaim("c", "p", "n0", "z"), numbers{5, 5, 0, 5}, numbers{6, 6, 0, 6}},
		"of another pool":    {aClaim("c", "p", "n1", "a"), numbers{5, 5, 0, 5}, numbers{6, 6, 0, 6}},
	}
	for name, tt := range tests {
		for _, first := range []string{"claim", "devices", "class"} {
			t.Run(name+", "+first+" first", func(t *testing.T) {
				w := newWorld()
				show := map[string]func(){
					"claim": func() { w.SetClaim(tt.claim) },
					"devices": func() {
						w.SetSlice(aSlice("n0", devices(aDevice("a", "GPU"), aDevice("b", "GPU", shared("4")), aDevice("c", "NPU"))))
					},
					"class": func() { w.SetClass(ofKind("GPU")); w.SetClass(aClass("all")) },
				}
				show[first]()
				for _, f := range show {
					f() // also again
				}
				w.want(t, "n0", "GPU", tt.gpu)
				w.want(t, "n0", "all", tt.all)
				w.DeleteSlice("n0")
				w.want(t, "n0", "GPU", numbers{})
				show["devices"]()
				w.want(t, "n0", "GPU", tt.gpu)
				w.DeleteClaim("default", "c")
				w.want(t, "n0", "GPU", numbers{5, 5, 0, 5})
				w.DeleteSlice("n0")
				w.DeleteClass("GPU")
				w.DeleteClass("all")
				w.empty(t)
			})
		}
	}
}

// TestClaimOf: whose a claim is.
func TestClaimOf(t *testing.T) {
	c := aClaim("c", "p", "n0", "a")
	c.Annotations = map[string]string{resourcev1.ExtendedResourceClaimAnnotation: "true"}
	got := claimOf(c)
	if got.pod != "p" || got.uid != "uid-p" || !got.forExtended {
		t.Errorf("got %+v", got)
	}
	c.Status.ReservedFor = append(c.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: "q", UID: "uid-q"})
	if got := claimOf(c); got.pod != "" {
		t.Errorf("of two pods it is said to be of %s", got.pod)
	}
	c.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{{APIGroup: "example.com", Resource: "pods", Name: "p", UID: "uid-p"}}
	if got := claimOf(c); got.pod != "" {
		t.Errorf("it is not a pod's, but said to be of %s", got.pod)
	}
}

// TestTaintedWhileHeld: a device that a claim holds is not taken from what is usable a
// second time by a taint, and is not usable once the claim ends.
func TestTaintedWhileHeld(t *testing.T) {
	w := newWorld()
	w.SetClass(ofKind("GPU"))
	w.SetSlice(aSlice("n0", devices(aDevice("a", "GPU"), aDevice("b", "GPU"))))
	w.SetClaim(aClaim("c", "p", "n0", "a"))
	w.want(t, "n0", "GPU", numbers{2, 2, 1, 1})
	w.SetSlice(aSlice("n0", devices(aDevice("a", "GPU", tainted(resourcev1.DeviceTaintEffectNoSchedule)), aDevice("b", "GPU"))))
	w.want(t, "n0", "GPU", numbers{2, 1, 1, 1})
	w.DeleteClaim("default", "c")
	w.want(t, "n0", "GPU", numbers{2, 1, 0, 1})
	w.SetSlice(aSlice("n0", devices(aDevice("a", "GPU"), aDevice("b", "GPU"))))
	w.want(t, "n0", "GPU", numbers{2, 2, 0, 2})
}
