package installer

import "fmt"

// The annotations that Helm writes on every object of a release.
const (
	releaseName      = "meta.helm.sh/release-name"
	releaseNamespace = "meta.helm.sh/release-namespace"
)

// Command is the command that puts back what an object with these annotations was
// installed with: a release of Helm stays that release, and its values are kept. OVERLAY
// stands for the folder that was applied, which no object knows.
func Command(annotations map[string]string) string {
	name, namespace := annotations[releaseName], annotations[releaseNamespace]
	if name == "" || namespace == "" {
		return "kubectl apply --server-side -k OVERLAY"
	}
	return fmt.Sprintf("helm upgrade %s deploy/helm/heteroaccel -n %s --reuse-values", name, namespace)
}
