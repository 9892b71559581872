package containerruntime

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// The first versions that take CDI devices from the field of the CRI that kubelets put
// them in (kubernetes#125210). containerd has CDI switched off by default before 2.0
// (enable_cdi; its docs/containerd-2.0.md), CRI-O never.
var (
	crio             = version.MustParseGeneric("1.28.0")
	containerd       = version.MustParseGeneric("1.7.2")
	containerdWithOn = version.MustParseGeneric("2.0.0")
)

// LacksCDI says why a node's container runtime gives no CDI devices to containers; "" if
// it does. reported is status.nodeInfo.containerRuntimeVersion of the node, such as
// "containerd://2.4.2". assumed is set where somebody knows that CDI is switched on,
// which counts wherever the version leaves it open.
func LacksCDI(reported string, assumed bool) string {
	name, number, ok := strings.Cut(reported, "://")
	if !ok && assumed && reported != "" {
		return ""
	}
	if !ok {
		return fmt.Sprintf("the kubelet calls its container runtime %q, which is not known to have CDI", reported)
	}
	v, err := version.ParseGeneric(number)
	switch {
	case name == "containerd" && err == nil && v.AtLeast(containerdWithOn):
		return ""
	case name == "containerd" && err == nil && v.AtLeast(containerd) && assumed:
		return ""
	case name == "containerd" && err == nil && v.AtLeast(containerd):
		return fmt.Sprintf("containerd %s has CDI switched off unless its configuration says enable_cdi: switch it on and give the exporters --runtime-has-cdi, or install containerd 2", number)
	case name == "containerd" && err == nil:
		return fmt.Sprintf("containerd %s has no CDI, and would start containers without their device: install containerd 2", number)
	case name == "cri-o" && err == nil && v.AtLeast(crio):
		return ""
	case name == "cri-o" && err == nil:
		return fmt.Sprintf("CRI-O %s has no CDI that the kubelet can use: install 1.28 or newer", number)
	case assumed:
		return ""
	default:
		return fmt.Sprintf("the container runtime %s is not known to have CDI: if it has, give the exporters --runtime-has-cdi", reported)
	}
}
