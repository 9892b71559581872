package accel

import "fmt"

// Health is what is known of whether a device can be used. It is one of three,
// and the zero value is HealthUnknown: what nobody has said is not known.
type Health uint8

const (
	// HealthUnknown: neither the kernel nor the kubelet tells. The device is
	// left to Kubernetes' own accounting: it is not blocked, raises no alert,
	// and is not known to be idle either.
	HealthUnknown Health = iota
	// Healthy: nothing is wrong with it, as far as those tell who would know.
	Healthy
	// Unhealthy: no pod should be given it.
	Unhealthy
)

// healths are the words for each, in JSON and in metric labels.
var healths = [...]string{HealthUnknown: "unknown", Healthy: "healthy", Unhealthy: "unhealthy"}

// String is the word for it: unknown, healthy or unhealthy.
func (h Health) String() string {
	if int(h) >= len(healths) {
		return healths[HealthUnknown]
	}
	return healths[h]
}

// MarshalText writes the word for it.
func (h Health) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the word for it; any other is an error.
func (h *Health) UnmarshalText(text []byte) error {
	for i, word := range healths {
		if word == string(text) {
			*h = Health(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no health of a device: it is healthy, unhealthy or unknown", abbreviate(string(text)))
}
