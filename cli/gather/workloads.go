package gather

import (
	"context"
	"errors"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/cli/pages"
)

// workloads reads the programs that run, and the endpoints of their Services.
func (g *Gatherer) workloads(ctx context.Context, c *check.Cluster) {
	for _, name := range []string{check.Webhook, check.Extender, check.Connector} {
		d, err := g.client.AppsV1().Deployments(g.System).Get(ctx, name, metav1.GetOptions{})
		w := check.Workload{}
		if err == nil {
			w = workload(d.Annotations, d.Spec.Template.Spec)
			if d.Spec.Replicas != nil {
				w.Desired = int(*d.Spec.Replicas)
			}
		}
		c.Programs[name] = check.Read(w, err)
	}
	d, err := g.client.AppsV1().DaemonSets(g.Exporters).Get(ctx, check.Exporter, metav1.GetOptions{})
	w := check.Workload{}
	if err == nil {
		w = workload(d.Annotations, d.Spec.Template.Spec)
		w.Desired = int(d.Status.DesiredNumberScheduled)
	}
	c.Programs[check.Exporter] = check.Read(w, err)
	for _, name := range []string{check.Webhook, check.Extender} {
		c.Ready[name] = check.Read(g.ready(ctx, name))
	}
	if pods, err := g.client.CoreV1().Pods(g.Exporters).List(ctx, selecting(check.Exporter)); err != nil {
		c.ExporterPods.Err = err
	} else {
		c.ExporterPods.Value = pods.Items
	}
}

func selecting(name string) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + name}
}

func workload(annotations map[string]string, spec corev1.PodSpec) check.Workload {
	w := check.Workload{Annotations: annotations}
	if len(spec.Containers) > 0 {
		w.Image, w.Args = spec.Containers[0].Image, spec.Containers[0].Args
	}
	return w
}

// ready counts the ready endpoints of a Service.
func (g *Gatherer) ready(ctx context.Context, service string) (int, error) {
	if _, err := g.client.CoreV1().Services(g.System).Get(ctx, service, metav1.GetOptions{}); err != nil {
		return 0, err
	}
	slices, err := g.client.DiscoveryV1().EndpointSlices(g.System).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		return 0, err
	}
	ready := map[string]bool{}
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			if len(e.Addresses) > 0 && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				ready[e.Addresses[0]] = true
			}
		}
	}
	return len(ready), nil
}

// rights asks the API server about each right.
func (g *Gatherer) rights(ctx context.Context, needed []check.Right) ([]check.Right, error) {
	for i, r := range needed {
		resource, sub, _ := strings.Cut(r.Resource, "/")
		review, err := g.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User:   "system:serviceaccount:" + g.System + ":" + r.Account,
				Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + g.System, "system:authenticated"},
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: r.Verb, Group: r.Group, Resource: resource, Subresource: sub, Namespace: r.Namespace, Name: r.Name,
				},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			return nil, err
		}
		needed[i].Allowed = review.Status.Allowed
	}
	return needed, nil
}

// extenders are clients of the pages of every extender that is ready.
func (g *Gatherer) extenders(ctx context.Context) ([]*pages.Client, error) {
	found, err := pages.Find(ctx, pages.Where{REST: g.REST, Namespace: g.System, URL: g.Pages, CA: g.CA})
	if errors.Is(err, pages.ErrProtected) {
		return nil, fmt.Errorf("%w: %w, and is read by --extender-url and --extender-ca alone", check.ErrNotAsked, err)
	}
	if err != nil {
		return nil, err
	}
	var clients []*pages.Client
	for i := range found.Len() {
		client, err := found.Client(ctx, i)
		if err != nil {
			return nil, err
		}
		clients = append(clients, client)
	}
	return clients, nil
}
