package installer

import "testing"

// TestCommand: nothing that Helm installed is installed a second time beside it.
func TestCommand(t *testing.T) {
	for name, tt := range map[string]struct {
		annotations map[string]string
		want        string
	}{
		"kustomize":    {nil, "kubectl apply --server-side -k OVERLAY"},
		"Helm":         {map[string]string{releaseName: "ours", releaseNamespace: "accel"}, "helm upgrade ours deploy/helm/heteroaccel -n accel --reuse-values"},
		"half of Helm": {map[string]string{releaseName: "ours"}, "kubectl apply --server-side -k OVERLAY"},
	} {
		if got := Command(tt.annotations); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
