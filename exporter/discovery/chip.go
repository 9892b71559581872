package discovery

import "strings"

// chipGPUs are the drivers of GPUs that are no PCI functions, by the name under
// which the bus has the device that the card hangs off (drivers/gpu/drm). The
// display controllers beside them have drivers of their own, such as vc4 beside
// v3d; msm's card is that of the display or, where there is none, of the GPU.
var chipGPUs = map[string]bool{
	"adreno": true, "asahi": true, "etnaviv": true, "lima": true,
	"mdp4": true, "msm": true, "msm-mdss": true, "msm_dpu": true, "msm_mdp": true,
	"nouveau": true, "panfrost": true, "panthor": true, "powervr": true, "pvrsrvkm": true,
	"tyr": true, "v3d": true,
}

// chipGraphics tells whether a card is the GPU of a system on a chip. The link
// to a driver may be missing off the PCI bus; then the name of the device, by
// which the kernel looks for a driver, is taken.
func chipGraphics(h hardware) bool {
	name := h.driver
	if name == "" {
		name, _ = strings.CutPrefix(h.modalias, "platform:")
	}
	return !h.onPCI() && h.vendor == "" && chipGPUs[name]
}
