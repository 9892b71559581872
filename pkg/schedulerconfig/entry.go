// Package schedulerconfig is the extender's entry in kube-scheduler's
// configuration: how to call it, and for which resources.
//
// The profiles' resources enter; the entry leaves. It reads and writes no
// configuration.
package schedulerconfig

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
)

// WellKnown are the resources as which vendors' device plugins advertise
// accelerators, and those of the shipped profiles, sorted. The configuration
// under deploy/scheduler lists the same.
var WellKnown = []string{
	"amd.com/gpu",
	"fpga.intel.com/arria10.dcp1.2-nlb0",
	"gpu.intel.com/i915",
	"gpu.intel.com/xe",
	"habana.ai/gaudi",
	"npu.intel.com/accel",
	"nvidia.com/gpu",
	"vpu.intel.com/hddl",
}

// Resources are the well-known ones and those of further, which may repeat
// them, sorted. added are those of further that are not well-known.
func Resources(further []string) (all, added []string) {
	for _, name := range further {
		if !slices.Contains(WellKnown, name) && !slices.Contains(added, name) {
			added = append(added, name)
		}
	}
	slices.Sort(added)
	all = append(slices.Clone(WellKnown), added...)
	slices.Sort(all)
	return all, added
}

// How the scheduler calls the extender.
const (
	weight = 5
	// timeout is what a pod waits, once for filter and once for prioritize, when
	// the extender's machine has vanished: kube-scheduler schedules one pod at a
	// time, so everybody's pods wait. An answer takes a few milliseconds.
	timeout = 500 * time.Millisecond
)

// ServiceName is the name in the cluster's DNS of the extender's Service in a
// namespace, and the one in the certificates of deploy/extender-tls and the chart.
func ServiceName(namespace string) string { return "heteroaccel-extender." + namespace + ".svc" }

// Where deploy/scheduler puts the files that kube-scheduler reads.
const (
	CAFile   = "/etc/kubernetes/heteroaccel/extender-ca.crt"
	CertFile = "/etc/kubernetes/heteroaccel/scheduler.crt"
	KeyFile  = "/etc/kubernetes/heteroaccel/scheduler.key"
)

// Endpoint is where and how kube-scheduler calls the extender.
type Endpoint struct {
	// URL is what the verbs' names are appended to.
	URL string
	// ServerName is the name in the extender's certificate; "" for HTTP.
	ServerName string
	// ClientCertificate is set where kube-scheduler has to show a certificate.
	ClientCertificate bool
}

// Entry is the extender of a KubeSchedulerConfiguration that is called at an
// endpoint for pods that request any of the resources. The scheduler still
// accounts for them itself, and goes on without the extender when that is
// unavailable.
func Entry(at Endpoint, resources []string) schedulerv1.Extender {
	e := schedulerv1.Extender{
		URLPrefix:        at.URL,
		FilterVerb:       "filter",
		PrioritizeVerb:   "prioritize",
		PreemptVerb:      "preempt",
		Weight:           weight,
		NodeCacheCapable: true,
		HTTPTimeout:      metav1.Duration{Duration: timeout},
		Ignorable:        true,
	}
	if at.ServerName != "" {
		e.EnableHTTPS = true
		e.TLSConfig = &schedulerv1.ExtenderTLSConfig{ServerName: at.ServerName, CAFile: CAFile}
		if at.ClientCertificate {
			e.TLSConfig.CertFile, e.TLSConfig.KeyFile = CertFile, KeyFile
		}
	}
	for _, name := range resources {
		e.ManagedResources = append(e.ManagedResources, schedulerv1.ExtenderManagedResource{Name: name})
	}
	return e
}
