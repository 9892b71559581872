package admission

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

const (
	enforce        = "pod-security.kubernetes.io/enforce"
	enforceVersion = "pod-security.kubernetes.io/enforce-version"
)

func mounts(name string, source corev1.VolumeSource) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	}
}

func hostPath(path string) corev1.VolumeSource {
	return corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}
}

// locked is a container that the level restricted allows.
func locked(p *corev1.Pod) {
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func privileged(p *corev1.Pod) {
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
}

func inGroup(group int64) podOption {
	return func(p *corev1.Pod) { p.Spec.SecurityContext.SupplementalGroups = []int64{group} }
}

// TestPodSecurity checks a pod against a namespace's labels.
func TestPodSecurity(t *testing.T) {
	tests := map[string]struct {
		labels map[string]string
		pod    *corev1.Pod
		want   string
	}{
		"no label":                    {nil, aPod(privileged), ""},
		"privileged":                  {map[string]string{enforce: "privileged"}, aPod(privileged), ""},
		"only warned":                 {map[string]string{"pod-security.kubernetes.io/warn": "restricted"}, aPod(privileged), ""},
		"baseline, an ordinary pod":   {map[string]string{enforce: "baseline"}, aPod(), ""},
		"baseline, host mount":        {map[string]string{enforce: "baseline"}, aPod(mounts("dri", hostPath("/dev/dri"))), `PodSecurity "baseline:latest": hostPath volumes (volume "dri")`},
		"baseline, privileged":        {map[string]string{enforce: "baseline"}, aPod(privileged), `PodSecurity "baseline:latest": privileged (container "main" must not set securityContext.privileged=true)`},
		"restricted, an ordinary pod": {map[string]string{enforce: "restricted"}, aPod(), `PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "main" must set securityContext.allowPrivilegeEscalation=false)`},
		"restricted, kept":            {map[string]string{enforce: "restricted"}, aPod(locked), ""},
		"restricted, group":           {map[string]string{enforce: "restricted"}, aPod(locked, inGroup(109)), ""},
		"restricted, host mount":      {map[string]string{enforce: "restricted"}, aPod(locked, mounts("dri", hostPath("/dev/dri"))), `PodSecurity "restricted:latest": restricted volume types (volume "dri" uses restricted volume type "hostPath")`},
		"restricted, claim":           {map[string]string{enforce: "restricted"}, aPod(locked, mounts("data", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}})), ""},
		"restricted, nfs":             {map[string]string{enforce: "restricted"}, aPod(locked, mounts("data", corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}})), `PodSecurity "restricted:latest": restricted volume types (volume "data" uses restricted volume type "nfs")`},
		"restricted, of a version":    {map[string]string{enforce: "restricted", enforceVersion: "v1.8"}, aPod(locked, mounts("dri", hostPath("/dev/dri"))), `PodSecurity "restricted:v1.8": restricted volume types (volume "dri" uses restricted volume type "hostPath")`},
		"restricted, before a check":  {map[string]string{enforce: "restricted", enforceVersion: "v1.18"}, aPod(locked, func(p *corev1.Pod) { p.Spec.SecurityContext.SeccompProfile = nil }), ""},
		"restricted, since a check":   {map[string]string{enforce: "restricted", enforceVersion: "v1.19"}, aPod(locked, func(p *corev1.Pod) { p.Spec.SecurityContext.SeccompProfile = nil }), `PodSecurity "restricted:v1.19": seccompProfile (pod or container "main" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")`},
		"a level that is none":        {map[string]string{enforce: "strict"}, aPod(), `PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "main" must set securityContext.allowPrivilegeEscalation=false)`},
		"a version that is none":      {map[string]string{enforce: "baseline", enforceVersion: "v2"}, aPod(privileged), `PodSecurity "baseline:latest": privileged (container "main" must not set securityContext.privileged=true)`},
		"a version of the far future": {map[string]string{enforce: "baseline", enforceVersion: "v1.400"}, aPod(privileged), `PodSecurity "baseline:v1.400": privileged (container "main" must not set securityContext.privileged=true)`},
		"a version without a level":   {map[string]string{enforceVersion: "v1.30"}, aPod(privileged), ""},
		"other labels of no concern":  {map[string]string{"team": "a"}, aPod(privileged), ""},
		"windows, which has no seccomp": {map[string]string{enforce: "restricted"}, aPod(locked, func(p *corev1.Pod) {
			p.Spec.OS = &corev1.PodOS{Name: corev1.Windows}
			p.Spec.SecurityContext.SeccompProfile = nil
		}), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := NewStore()
			s.SetNamespace("team", tt.labels)
			if diff := cmp.Diff(tt.want, s.Refuses("team", tt.pod)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
