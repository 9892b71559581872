package accel

import (
	"fmt"
	"regexp"
	"strings"
)

// Kind is a kind of accelerator: CPU, GPU, FPGA, NPU, or whatever else an
// InferenceProfile has a variant for. The set is open; the canonical form is
// upper case.
type Kind string

// CPU is the one kind that is special in code: its capacity is cores, which
// Kubernetes accounts for itself, not devices.
const CPU Kind = "CPU"

// kindPattern also bounds what can reach a metric label or a table. It is matched
// before conversion to upper case: some letters outside ASCII, such as the dotless
// i, have ASCII capitals.
var kindPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,30}[A-Za-z0-9])?$`)

// ParseKind returns the canonical form of a kind as a person writes it.
func ParseKind(s string) (Kind, error) {
	k := strings.TrimSpace(s)
	if !kindPattern.MatchString(k) {
		return "", fmt.Errorf("%q is not an accelerator kind: use letters, digits, '.', '_' or '-', at most 32 characters, such as gpu", abbreviate(s))
	}
	return Kind(strings.ToUpper(k)), nil
}

// JoinKinds lists kinds for a sentence: "CPU, GPU".
func JoinKinds(kinds []Kind) string {
	var b strings.Builder
	for i, k := range kinds {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(k))
	}
	return b.String()
}
