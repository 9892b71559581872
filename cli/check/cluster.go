package check

import (
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"heteroaccel.io/cli/installer"
	"heteroaccel.io/cli/pages"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// What the manifests call what they install.
const (
	CRDName          = "inferenceprofiles.heteroaccel.io"
	RegistrationName = "heteroaccel"
	BackstopName     = "heteroaccel-backstop"
	Webhook          = "heteroaccel-webhook"
	Extender         = "heteroaccel-extender"
	Exporter         = "heteroaccel-exporter"
	Connector        = "heteroaccel-connector"
)

// Cluster is what was read of a cluster.
type Cluster struct {
	// System and Exporters are the namespaces of the installation, and Namespace the
	// one in which pods were tried.
	System, Exporters, Namespace string
	// Version is that of this program; Release says whether it is one that was
	// released.
	Version string
	Release bool

	// Server is the version of the API server: "v1.37.2".
	Server       Fact[string]
	CRD          Fact[*apiextensionsv1.CustomResourceDefinition]
	Profiles     Fact[[]v1alpha1.InferenceProfile]
	Nodes        Fact[[]corev1.Node]
	Registration Fact[*admissionv1.MutatingWebhookConfiguration]
	Policy       Fact[*admissionv1.ValidatingAdmissionPolicy]
	Binding      Fact[*admissionv1.ValidatingAdmissionPolicyBinding]
	// Programs are the workloads by name: Webhook, Extender, Exporter, and Connector,
	// which need not be there.
	Programs map[string]Fact[Workload]
	// Ready is how many endpoints of the Services Webhook and Extender are ready.
	Ready map[string]Fact[int]
	// ExporterPods are the exporters' pods.
	ExporterPods Fact[[]corev1.Pod]
	// Replicas are the pages of each extender that is ready.
	Replicas Fact[[]pages.Replica]
	// Rights are those of our accounts.
	Rights Fact[[]Right]

	// Mutated is what the API server would make of a pod that asks for any
	// accelerator, in a dry run, and Unknown of one that asks for an unknown
	// inference.
	Mutated, Unknown Fact[*corev1.Pod]
	Canary           Canary
}

// Workload is a Deployment or a DaemonSet.
type Workload struct {
	Annotations map[string]string
	Image       string
	Args        []string
	// Desired is how many nodes a DaemonSet is for, or replicas a Deployment.
	Desired int
}

// Canary is what became of a pod that kube-scheduler placed for us.
type Canary struct {
	// Err is why there was none, or why nothing was seen of it.
	Err error
	// Left is why it could not be removed.
	Left error
	// Late says that pods for which a device is free are bound late, so that none would
	// show it.
	Late bool
	// Resource is what it requested.
	Resource string
	// Node is where it was bound; Verdict is why it was not.
	Node, Verdict string
	// Answers are what each extender said of it.
	Answers []pages.Asked
	// NothingFree says that every device is held, so that no pod was tried.
	NothingFree bool
	// Last is the last question of kube-scheduler's that is remembered, about any
	// pod, and LastPod which; zero for none.
	Last    time.Duration
	LastPod string
}

// Right is what an account of ours may do.
type Right struct {
	// Account is the name of a service account in the system namespace.
	Account                                string
	Verb, Group, Resource, Namespace, Name string
	// For is what it is needed for.
	For     string
	Allowed bool
}

// Run judges a cluster.
func Run(c *Cluster) []Line {
	lines := server(c)
	if c.Server.Err != nil && Failed(lines) {
		return lines // nobody answers: every other line would say the same
	}
	for _, judge := range []func(*Cluster) []Line{
		crd, profiles, devices, registration, webhook, trials, backstop,
		extender, exporters, driver, late, telemetry, scheduler, rights, versions,
	} {
		lines = append(lines, judge(c)...)
	}
	return lines
}

// Failed reports whether anything is wrong.
func Failed(lines []Line) bool {
	for _, l := range lines {
		if l.Result == Wrong {
			return true
		}
	}
	return false
}

// install is the command that puts back what was installed, by the annotations of the
// first of our objects that is there. The CustomResourceDefinition comes last: Helm leaves
// it behind, with its annotations, when a release is removed.
func (c *Cluster) install() string {
	for _, name := range []string{Webhook, Extender, Exporter, Connector} {
		if p, asked := c.Programs[name]; asked && p.Err == nil {
			return installer.Command(p.Value.Annotations)
		}
	}
	switch {
	case c.Registration.Err == nil && c.Registration.Value != nil:
		return installer.Command(c.Registration.Value.Annotations)
	case c.Policy.Err == nil && c.Policy.Value != nil:
		return installer.Command(c.Policy.Value.Annotations)
	case c.CRD.Err == nil && c.CRD.Value != nil:
		return installer.Command(c.CRD.Value.Annotations)
	}
	return installer.Command(nil)
}
