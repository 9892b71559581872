package accel

import "fmt"

// Health is whether a device can be used. The zero value is HealthUnknown.
type Health uint8

const (
	// HealthUnknown: neither the kernel nor the kubelet tells. The device is left
	// to Kubernetes' own accounting: it is not blocked and raises no alert, but is
	// not known to be idle either.
	HealthUnknown Health = iota
	// Healthy: the kernel and the kubelet report no fault.
	Healthy
	// Unhealthy: it must not be allocated.
	Unhealthy
)

// healthWords are the words for each, in JSON and in metric labels.
var healthWords = [...]string{HealthUnknown: "unknown", Healthy: "healthy", Unhealthy: "unhealthy"}

// String is the word for it: unknown, healthy or unhealthy.
func (h Health) String() string {
	if int(h) >= len(healthWords) {
		return healthWords[HealthUnknown]
	}
	return healthWords[h]
}

// MarshalText writes the word for it.
func (h Health) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the word for it; any other is an error.
func (h *Health) UnmarshalText(text []byte) error {
	for i, word := range healthWords {
		if word == string(text) {
			*h = Health(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not the health of a device: use healthy, unhealthy or unknown", abbreviate(string(text)))
}
