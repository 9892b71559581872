package deploy_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// exporterRights are what an exporter's pod may do that others may not.
type exporterRights struct {
	Namespace    string
	Capabilities []corev1.Capability
	HostPaths    []string
	Flag         bool // --detect-external-use
}

// TestExporterRights: by default the exporter reads sysfs and the kubelet's socket
// without a capability; to find external use it has two, and /proc.
func TestExporterRights(t *testing.T) {
	for dir, want := range map[string]exporterRights{
		"base":                  {"heteroaccel-exporter", nil, []string{"/sys", "/var/lib/kubelet/pod-resources"}, false},
		"testdata/external-use": {"heteroaccel-exporter", []corev1.Capability{"SYS_PTRACE", "DAC_READ_SEARCH"}, []string{"/proc", "/sys", "/var/lib/kubelet/pod-resources"}, true},
	} {
		t.Run(dir, func(t *testing.T) {
			var daemons []*appsv1.DaemonSet
			for _, obj := range decode(t, render(t, dir)) {
				if d, ok := obj.(*appsv1.DaemonSet); ok {
					daemons = append(daemons, d)
				}
			}
			if len(daemons) != 1 {
				t.Fatalf("%d DaemonSets, want the exporter's", len(daemons))
			}
			pod := daemons[0].Spec.Template.Spec
			c := pod.Containers[0]
			got := exporterRights{Namespace: daemons[0].Namespace, Capabilities: c.SecurityContext.Capabilities.Add, Flag: slices.Contains(c.Args, "--detect-external-use")}
			for _, v := range pod.Volumes {
				got.HostPaths = append(got.HostPaths, v.HostPath.Path)
			}
			slices.Sort(got.HostPaths)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, m := range c.VolumeMounts {
				if !m.ReadOnly {
					t.Errorf("%s can be written", m.MountPath)
				}
			}
			if s := c.SecurityContext; pod.HostPID || pod.HostNetwork || pod.HostIPC || s.Privileged != nil || !slices.Contains(s.Capabilities.Drop, "ALL") ||
				*s.AllowPrivilegeEscalation || *pod.AutomountServiceAccountToken {
				t.Errorf("it may more than it needs: %+v", s)
			}
		})
	}
}
