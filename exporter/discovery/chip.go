package discovery

import "strings"

// chipGPUs are the drivers of GPUs that are not PCI functions, by the name of
// the device that the card belongs to (drivers/gpu/drm). Display controllers have
// drivers of their own, such as vc4 beside v3d; msm's card is that of the display
// or, where there is none, of the GPU.
var chipGPUs = map[string]bool{
	"adreno": true, "asahi": true, "etnaviv": true, "lima": true,
	"mdp4": true, "msm": true, "msm-mdss": true, "msm_dpu": true, "msm_mdp": true,
	"nouveau": true, "panfrost": true, "panthor": true, "powervr": true, "pvrsrvkm": true,
	"tyr": true, "v3d": true,
}

// isChipGPU reports whether a card is the GPU of a system on a chip. Off the PCI
// bus the link to a driver may be missing; then the name in the modalias counts.
func isChipGPU(h hardware) bool {
	name := h.driver
	if name == "" {
		name, _ = strings.CutPrefix(h.modalias, "platform:")
	}
	return !h.onPCI() && h.vendor == "" && chipGPUs[name]
}
