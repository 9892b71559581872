package containerruntime

import (
	"strings"
	"testing"
)

func TestLacksCDI(t *testing.T) {
	for name, tc := range map[string]struct {
		version string
		assumed bool
		want    string // part of the reason, "" for none
	}{
		"containerd 2":                {"containerd://2.4.2", false, ""},
		"containerd 2.0.0":            {"containerd://2.0.0", false, ""},
		"with a v":                    {"containerd://v2.1.3", false, ""},
		"a distribution's":            {"containerd://2.1.4+deb13", false, ""},
		"a build":                     {"containerd://2.1.0-k3s1", false, ""},
		"containerd 1.7":              {"containerd://1.7.27", false, "enable_cdi"},
		"containerd 1.7, switched on": {"containerd://1.7.27", true, ""},
		"containerd 1.7.1":            {"containerd://1.7.1", true, "has no CDI"},
		"Debian 12":                   {"containerd://1.6.20~ds1", false, "containerd 1.6.20~ds1 has no CDI"},
		"Debian 12, assumed":          {"containerd://1.6.20~ds1", true, "has no CDI"},
		"CRI-O":                       {"cri-o://1.34.0", false, ""},
		"CRI-O's first":               {"cri-o://1.28.0", false, ""},
		"CRI-O by annotation":         {"cri-o://1.27.4", true, "install 1.28"},
		"Docker":                      {"docker://28.2.0", false, "--runtime-has-cdi"},
		"Docker, assumed":             {"docker://28.2.0", true, ""},
		"no number":                   {"containerd://", false, "not known"},
		"simulated":                   {"kwok-v0.8.0", false, "not known to have CDI"},
		"simulated, assumed":          {"kwok-v0.8.0", true, ""},
		"not reported":                {"", true, "not known"},
	} {
		t.Run(name, func(t *testing.T) {
			got := LacksCDI(tc.version, tc.assumed)
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("%q, want %q in it", got, tc.want)
			}
		})
	}
}
