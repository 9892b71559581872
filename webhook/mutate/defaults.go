package mutate

import (
	"slices"
	"strings"

	"heteroaccel.io/pkg/profile"
	corev1 "k8s.io/api/core/v1"
)

// The API server fills in defaults before it sends us a pod, and again after our
// patch. What a variant adds gets them here already, so that it compares equal to
// our own output in a second review, or to the same volume of the user's. Source:
// SetDefaults_* in Kubernetes' pkg/apis/core/v1/defaults.go. A default missed
// here costs one operation in a patch, not a wrong pod.

// pullPolicy is the pull policy of image now, which replaces image was. The API
// server has filled in the default for the old image, which is Always for the tag
// latest or none: with it the kubelet would ask a registry for the variant's image
// each time, and fail where no registry can be reached. So the default for the old
// image becomes the default for the new one; any other policy is the user's. ""
// stays: the API server fills it in after us.
func pullPolicy(policy corev1.PullPolicy, was, now string) corev1.PullPolicy {
	if policy != "" && policy == defaultPull(was) {
		return defaultPull(now)
	}
	return policy
}

// latePullPolicy is the same of a pod that is bound late, whose policy cannot be changed
// with the image: Always if it is the default for any of the profile's.
func latePullPolicy(policy corev1.PullPolicy, was string, p *profile.Profile) corev1.PullPolicy {
	if policy != "" && policy != defaultPull(was) {
		return policy
	}
	if slices.ContainsFunc(p.Late, func(v profile.Variant) bool { return defaultPull(v.Spec.Image) == corev1.PullAlways }) {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

// defaultPull is what the API server fills in for an image.
func defaultPull(image string) corev1.PullPolicy {
	name, _, digest := strings.Cut(image, "@")
	tag := ""
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') { // else the port of a registry
		tag = name[i+1:]
	}
	if tag == "latest" || tag == "" && !digest {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

// defaultMode is the mode of the files in a volume.
const defaultMode int32 = 0o644

func defaultedVolume(v corev1.Volume) corev1.Volume {
	if v.VolumeSource == (corev1.VolumeSource{}) {
		v.EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
	if s := v.HostPath; s != nil && s.Type == nil {
		c := *s
		c.Type = new(corev1.HostPathUnset)
		v.HostPath = &c
	}
	if s := v.Secret; s != nil && s.DefaultMode == nil {
		c := *s
		c.DefaultMode = new(defaultMode)
		v.Secret = &c
	}
	if s := v.ConfigMap; s != nil && s.DefaultMode == nil {
		c := *s
		c.DefaultMode = new(defaultMode)
		v.ConfigMap = &c
	}
	if s := v.DownwardAPI; s != nil {
		c := *s
		if c.DefaultMode == nil {
			c.DefaultMode = new(defaultMode)
		}
		c.Items = defaultedFiles(c.Items)
		v.DownwardAPI = &c
	}
	if v.Projected != nil {
		v.Projected = defaultedProjected(*v.Projected)
	}
	return v
}

func defaultedProjected(s corev1.ProjectedVolumeSource) *corev1.ProjectedVolumeSource {
	if s.DefaultMode == nil {
		s.DefaultMode = new(defaultMode)
	}
	s.Sources = slices.Clone(s.Sources)
	for i := range s.Sources {
		if token := s.Sources[i].ServiceAccountToken; token != nil && token.ExpirationSeconds == nil {
			c := *token
			c.ExpirationSeconds = new(int64(3600))
			s.Sources[i].ServiceAccountToken = &c
		}
		if api := s.Sources[i].DownwardAPI; api != nil {
			s.Sources[i].DownwardAPI = &corev1.DownwardAPIProjection{Items: defaultedFiles(api.Items)}
		}
	}
	return &s
}

func defaultedFiles(items []corev1.DownwardAPIVolumeFile) []corev1.DownwardAPIVolumeFile {
	items = slices.Clone(items)
	for i, item := range items {
		if item.FieldRef != nil && item.FieldRef.APIVersion == "" {
			ref := *item.FieldRef
			ref.APIVersion = "v1"
			items[i].FieldRef = &ref
		}
	}
	return items
}
