package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"heteroaccel.io/pkg/profile"
)

// crdGauge is whether the CRD of the profiles is there. The webhook is ready without
// it, so that a pod is refused with a sentence that names it.
func crdGauge(profiles *profile.Store) prometheus.Collector {
	return gaugeOf("heteroaccel_webhook_profile_crd_installed",
		"1 if the API server knows InferenceProfiles, as far as was seen last, 0 if their CRD is missing: pods that request an accelerator are refused.", profiles.CRD)
}
