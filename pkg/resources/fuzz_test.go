package resources

import (
	"bytes"
	"math"
	"math/big"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// FuzzAmounts holds amounts against exact arithmetic: the quantity as written,
// rounded up as the API server's accounting does, between 0 and Max. Of what an int64
// does not hold, Kubernetes' own arithmetic wraps, so that kube-scheduler counts
// something else than was written; then only the bounds count.
func FuzzAmounts(f *testing.F) {
	for _, text := range []string{"0", "1500m", "1Gi", "-1", "0.1m", "9223372036854775807", "1E18", "9007199254740993", "1e-9", "4503599627370497k", ".5n", "9E", "10E"} {
		f.Add(text, "1")
	}
	f.Fuzz(func(t *testing.T, text, other string) {
		q, ok := parse(text)
		if !ok {
			return
		}
		got := Of(corev1.ResourceList{"cpu": q, "memory": q, "ephemeral-storage": q, "gpu.intel.com/i915": q})
		want := got
		if q.CmpInt64(math.MaxInt64) <= 0 && q.CmpInt64(math.MinInt64) >= 0 {
			milli, whole := ceiling(q, 3), ceiling(q, 0)
			want = Amounts{CPU: milli, Memory: whole, Storage: whole}
			if whole > 0 {
				want.Devices = []Devices{{"gpu.intel.com/i915", whole}}
			}
		}
		for _, n := range []int64{got.CPU, got.Memory, got.Storage, got.Device("gpu.intel.com/i915")} {
			if n < 0 || n > Max {
				t.Errorf("%q is %+v", text, got)
			}
		}
		if !got.Equal(want) {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
		p, ok := parse(other)
		if !ok {
			return
		}
		b := Of(corev1.ResourceList{"cpu": p, "gpu.intel.com/i915": p, "example.com/x": q})
		if back := got.Plus(b, 1).Plus(b, -1); !back.Equal(got) {
			t.Errorf("%+v, with %+v added and taken away, is %+v", got, b, back)
		}
		if same := bytes.Equal(got.AppendKey(nil), b.AppendKey(nil)); same != got.Equal(b) {
			t.Errorf("%+v and %+v have the same key: %v", got, b, same)
		}
	})
}

// parse leaves out what Sane does, and what ParseQuantity itself takes long for: the
// API server reads a pod before we do.
func parse(text string) (resource.Quantity, bool) {
	if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 4 || len(text) > 40 {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(text)
	return q, err == nil && !excessive(q)
}

// ceiling is a quantity times ten to the power of digits, as Amounts has it.
func ceiling(q resource.Quantity, digits int) int64 {
	exact := q.AsDec()
	n, scale := exact.UnscaledBig(), int64(exact.Scale())-int64(digits)
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(max(scale, -scale)), nil)
	if scale < 0 {
		n = new(big.Int).Mul(n, power)
	} else {
		n = new(big.Int).Div(new(big.Int).Add(n, new(big.Int).Sub(power, big.NewInt(1))), power)
	}
	switch {
	case n.Sign() < 0:
		return 0
	case n.Cmp(big.NewInt(Max)) > 0:
		return Max
	}
	return n.Int64()
}
