package mutate

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestPullPolicy(t *testing.T) {
	const always, ifNotPresent, never = corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever
	for name, tc := range map[string]struct {
		policy   corev1.PullPolicy
		was, now string
		want     corev1.PullPolicy
	}{
		"no tag, filled in":              {always, "face", "face:gpu", ifNotPresent},
		"latest, filled in":              {always, "face:latest", "face:gpu", ifNotPresent},
		"a tag, filled in":               {ifNotPresent, "face:1", "face:gpu", ifNotPresent},
		"a tag, then none":               {ifNotPresent, "face:1", "face", always},
		"a tag, and always all the same": {always, "face:1", "face:gpu", always},
		"no tag, and not always":         {ifNotPresent, "face", "face:gpu", ifNotPresent},
		"never":                          {never, "face", "face:gpu", never},
		"not filled in":                  {"", "face", "face:gpu", ""},
		"a port is no tag":               {always, "registry:5000/face", "face:gpu", ifNotPresent},
		"a port and a tag":               {ifNotPresent, "registry:5000/face:1", "face", always},
		"a digest":                       {ifNotPresent, "face@sha256:00", "face:latest", always},
		"latest with a digest":           {always, "face:latest@sha256:00", "face@sha256:11", ifNotPresent},
		"no image":                       {always, "", "face:gpu", ifNotPresent},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pullPolicy(tc.policy, tc.was, tc.now); got != tc.want {
				t.Errorf("%q for %q instead of %q: %q, want %q", tc.policy, tc.now, tc.was, got, tc.want)
			}
		})
	}
}
