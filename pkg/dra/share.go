package dra

import (
	"math/big"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/resources"
)

// Slots is how many requests of the default size fit on a device: one if it is not
// shared, resources.Max if nothing of it is consumed. Of each capacity a request
// consumes the default of its request policy or, without one, all of it.
func Slots(d *resourcev1.Device) int64 {
	if d.AllowMultipleAllocations == nil || !*d.AllowMultipleAllocations {
		return 1
	}
	fit := int64(resources.Max)
	for _, c := range d.Capacity {
		if size := defaultOf(c); size.Sign() > 0 {
			fit = min(fit, quotient(c.Value, size, false))
		}
	}
	return max(0, fit)
}

// Taken is how many slots a claim takes of a device of which it consumes so much, at
// least one.
func Taken(d *resourcev1.Device, consumed map[resourcev1.QualifiedName]resource.Quantity) int64 {
	taken := int64(1)
	for name, amount := range consumed {
		if c, ok := d.Capacity[name]; ok {
			if size := defaultOf(c); size.Sign() > 0 {
				taken = max(taken, quotient(amount, size, true))
			}
		}
	}
	return min(taken, max(1, Slots(d)))
}

// defaultOf is what a request consumes that names no amount.
func defaultOf(c resourcev1.DeviceCapacity) resource.Quantity {
	if c.RequestPolicy != nil && c.RequestPolicy.Default != nil {
		return *c.RequestPolicy.Default
	}
	return c.Value
}

// maxExponent is the largest power of ten of an amount that is divided, and maxBits the
// size of its digits: see resources.Sane.
const (
	maxExponent = 36
	maxBits     = 1 << 10
)

// quotient is a divided by b, which is above 0; a whole number, bounded. It is 0 where
// one of them is excessive.
func quotient(a, b resource.Quantity, up bool) int64 {
	a, b = a.DeepCopy(), b.DeepCopy() // AsDec changes them
	x, y := a.AsDec(), b.AsDec()
	for _, scale := range []int64{int64(x.Scale()), int64(y.Scale())} {
		if scale > maxExponent || scale < -maxExponent {
			return 0
		}
	}
	if x.UnscaledBig().BitLen() > maxBits || y.UnscaledBig().BitLen() > maxBits {
		return 0
	}
	// x is its digits divided by 10 to the power of its scale.
	n := new(big.Int).Mul(x.UnscaledBig(), power(int64(y.Scale())))
	m := new(big.Int).Mul(y.UnscaledBig(), power(int64(x.Scale())))
	if up {
		n.Add(n, new(big.Int).Sub(m, big.NewInt(1)))
	}
	if n.Div(n, m); !n.IsInt64() {
		return resources.Max
	}
	return resources.Bounded(n.Int64())
}

// power is 10 to the power of n + maxExponent: both sides of a quotient have it.
func power(n int64) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(n+maxExponent), nil)
}
