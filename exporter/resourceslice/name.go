package resourceslice

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"heteroaccel.io/pkg/accel"
)

// Name is the name of a device in its node's pool, a DNS label: the kind and the id,
// with dashes. It is the same after a restart, as is the id. The digest at the end of
// some keeps two ids apart that would be written alike.
func Name(kind accel.Kind, id string) string {
	exact := true
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r == ':', r == '.': // those of PCI addresses and USB paths
			return '-'
		default:
			exact = false
			return '-'
		}
	}, strings.ToLower(string(kind))+"-"+id)
	const digest = 8
	if exact && len(name) <= validation.DNS1123LabelMaxLength && !strings.HasSuffix(name, "-") {
		return name
	}
	sum := sha256.Sum256([]byte(id))
	return name[:min(len(name), validation.DNS1123LabelMaxLength-digest-1)] + "-" + hex.EncodeToString(sum[:])[:digest]
}
