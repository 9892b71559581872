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
	Writable     []string
	Flag         bool // --detect-external-use
	Token        bool
}

// TestExporterRights: by default the exporter reads sysfs and the kubelet's socket
// without a capability; to find external use it has two, and /proc. As DRA driver it has
// a token, and writes where sockets and CDI files are.
func TestExporterRights(t *testing.T) {
	for dir, want := range map[string]exporterRights{
		"base":                  {"heteroaccel-exporter", nil, []string{"/sys", "/var/lib/kubelet/pod-resources"}, nil, false, false},
		"testdata/external-use": {"heteroaccel-exporter", []corev1.Capability{"SYS_PTRACE", "DAC_READ_SEARCH"}, []string{"/proc", "/sys", "/var/lib/kubelet/pod-resources"}, nil, true, false},
		"testdata/device-driver": {"heteroaccel-exporter", nil,
			[]string{"/dev", "/sys", "/var/lib/kubelet/plugins/devices.heteroaccel.io", "/var/lib/kubelet/plugins_registry", "/var/lib/kubelet/pod-resources", "/var/run/cdi"},
			[]string{"/var/lib/kubelet/plugins/devices.heteroaccel.io", "/var/lib/kubelet/plugins_registry", "/var/run/cdi"}, false, true},
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
			got.Token = *pod.AutomountServiceAccountToken
			for _, m := range c.VolumeMounts {
				if !m.ReadOnly {
					got.Writable = append(got.Writable, m.MountPath)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if s := c.SecurityContext; pod.HostPID || pod.HostNetwork || pod.HostIPC || s.Privileged != nil || !slices.Contains(s.Capabilities.Drop, "ALL") ||
				*s.AllowPrivilegeEscalation {
				t.Errorf("it may more than it needs: %+v", s)
			}
		})
	}
}
