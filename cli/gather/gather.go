package gather

import (
	"context"
	"fmt"

	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// Config is where to look.
type Config struct {
	REST *rest.Config
	// System and Exporters are the namespaces of the installation, and Namespace the
	// one in which pods are tried.
	System, Exporters, Namespace string
	// Pages is the URL of the extender's pages; "" to forward a port to each. CA is the
	// file of the CA of one with https, which gets the token of REST.
	Pages, CA string
	// Canary says to have kube-scheduler place a pod.
	Canary bool
	// Version is that of this program; Release says whether it was released.
	Version string
	Release bool
}

// Gatherer reads a cluster.
type Gatherer struct {
	Config
	client     kubernetes.Interface
	extensions apiextensionsclient.Interface
	profiles   *profile.Client
}

// New returns a Gatherer. It sends nothing yet.
func New(c Config) (*Gatherer, error) {
	g := &Gatherer{Config: c}
	var err error
	if g.client, err = kubernetes.NewForConfig(c.REST); err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	if g.extensions, err = apiextensionsclient.NewForConfig(c.REST); err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	if g.profiles, err = profile.NewClient(c.REST); err != nil {
		return nil, err
	}
	return g, nil
}

// Gather reads everything. What could not be read has its error with it.
func (g *Gatherer) Gather(ctx context.Context) *check.Cluster {
	c := &check.Cluster{
		System: g.System, Exporters: g.Exporters, Namespace: g.Namespace, Version: g.Version, Release: g.Release,
		Programs: map[string]check.Fact[check.Workload]{}, Ready: map[string]check.Fact[int]{},
	}
	g.api(ctx, c)
	g.workloads(ctx, c)
	c.Rights = check.Read(g.rights(ctx, check.Needed(g.System, c.Programs[check.Webhook].Value.Args, c.Programs[check.Extender].Value.Args)))
	g.trials(ctx, c)

	ctx, stop := context.WithCancel(ctx) // ends the forwarding
	defer stop()
	clients, err := g.extenders(ctx)
	if err != nil {
		c.Replicas.Err = err
		return c
	}
	for _, client := range clients {
		r, err := client.Replica(ctx)
		if err != nil {
			c.Replicas.Err = err
			return c
		}
		c.Replicas.Value = append(c.Replicas.Value, r)
	}
	c.Canary = g.canary(ctx, c, clients)
	return c
}

// api reads what the API server knows of us.
func (g *Gatherer) api(ctx context.Context, c *check.Cluster) {
	version, err := g.client.Discovery().ServerVersion()
	if c.Server.Err = err; err == nil {
		c.Server.Value = version.GitVersion
	}
	admission := g.client.AdmissionregistrationV1()
	c.CRD = check.Read(g.extensions.ApiextensionsV1().CustomResourceDefinitions().Get(ctx, check.CRDName, metav1.GetOptions{}))
	c.Registration = check.Read(admission.MutatingWebhookConfigurations().Get(ctx, check.RegistrationName, metav1.GetOptions{}))
	c.Policy = check.Read(admission.ValidatingAdmissionPolicies().Get(ctx, check.BackstopName, metav1.GetOptions{}))
	c.Binding = check.Read(admission.ValidatingAdmissionPolicyBindings().Get(ctx, check.BackstopName, metav1.GetOptions{}))
	if profiles, err := g.profiles.List(ctx, metav1.ListOptions{}); err != nil {
		c.Profiles.Err = err
	} else {
		c.Profiles.Value = append([]v1alpha1.InferenceProfile{}, profiles.Items...)
	}
	if nodes, err := g.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); err != nil {
		c.Nodes.Err = err
	} else {
		c.Nodes.Value = nodes.Items
	}
}
