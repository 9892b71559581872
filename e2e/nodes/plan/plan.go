// Package plan is what the program that starts a node says to the node's first
// process. It does nothing.
package plan

// Plan is how a node's file systems are made.
type Plan struct {
	// Name is the node's host name.
	Name string `json:"name"`
	// Dir is a directory of the host's that is the node's own.
	Dir string `json:"dir"`
	// Sys is a sysfs tree with the node's accelerators. The rest of sysfs is
	// bound into it.
	Sys string `json:"sys"`
	// Proc are files that stand for those of the same name in /proc.
	Proc map[string]string `json:"proc"`
	// Devices are the device files of the accelerators, below /dev.
	Devices []string `json:"devices"`
	// Private are directories of which the node has one of its own, empty at
	// first.
	Private []string `json:"private"`
	// Sysctls are kernel parameters of the network namespace, such as
	// net/ipv4/ip_forward, and their values.
	Sysctls map[string]string `json:"sysctls"`
}
