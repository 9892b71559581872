package check

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// profiles judges the InferenceProfiles by themselves.
func profiles(c *Cluster) []Line {
	const check = "profiles"
	switch {
	case c.Profiles.Err != nil:
		return []Line{unread(check, c.Profiles.Err, "list InferenceProfiles", "the API server serves no InferenceProfiles", c.install())}
	case len(c.Profiles.Value) == 0:
		return []Line{wrong(check, "kubectl apply --server-side -k deploy/registry", "there is no InferenceProfile: nothing can be asked for")}
	}
	var lines []Line
	var nowhere map[string]bool
	if c.Nodes.Err == nil {
		nowhere, _, _ = unoffered(c)
	}
	for _, p := range c.Profiles.Value {
		describe := "kubectl describe inferenceprofile " + p.Name
		condition := meta.FindStatusCondition(p.Status.Conditions, "Usable")
		switch _, err := profile.New(&p); {
		case err != nil:
			lines = append(lines, wrong(check, "kubectl edit inferenceprofile "+p.Name, "%v", err))
		case condition == nil || condition.ObservedGeneration != p.Generation:
			lines = append(lines, wrong(check, "kubectl -n "+c.System+" logs deployment/"+Webhook, "the webhook has not looked at profile %s", p.Name))
		case condition.Status != metav1.ConditionTrue && condition.Reason == profile.NoNode && nowhere[p.Name]: // see devices
		case condition.Status != metav1.ConditionTrue:
			lines = append(lines, wrong(check, describe, "profile %s is not usable: %s", p.Name, condition.Message))
		}
	}
	if len(lines) > 0 {
		return lines
	}
	if len(nowhere) > 0 {
		return []Line{ok(check, "%s, valid; no node offers what %s can use", count(len(c.Profiles.Value), "profile"), list(slices.Sorted(maps.Keys(nowhere))))}
	}
	return []Line{ok(check, "%s, valid and usable", count(len(c.Profiles.Value), "profile"))}
}

// unoffered are the profiles of which no node offers the resources of any variant, all
// resources that profiles name, and those of them that no node offers.
func unoffered(c *Cluster) (profiles, needed, nowhere map[string]bool) {
	offered := map[string]bool{}
	for _, n := range c.Nodes.Value {
		for name, q := range n.Status.Allocatable {
			offered[string(name)] = offered[string(name)] || q.Sign() > 0
		}
	}
	profiles, needed, nowhere = map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, p := range c.Profiles.Value {
		somewhere := len(p.Spec.Variants) == 0
		for _, v := range p.Spec.Variants {
			lacks := false
			for _, r := range accel.DeviceResources(v.Limits) {
				needed[r] = true
				if !offered[r] {
					lacks, nowhere[r] = true, true
				}
			}
			somewhere = somewhere || !lacks
		}
		if !somewhere {
			profiles[p.Name] = true
		}
	}
	return profiles, needed, nowhere
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// devices judges whether nodes offer what the profiles name, and whether the device
// plugins run where there are devices.
func devices(c *Cluster) []Line {
	const check = "devices"
	switch {
	case c.Profiles.Err != nil:
		return []Line{unread(check, c.Profiles.Err, "list InferenceProfiles", "which resources are needed is unknown without InferenceProfiles", "")}
	case c.Nodes.Err != nil:
		return []Line{unread(check, c.Nodes.Err, "list nodes", "there are no nodes", "")}
	}
	var lines []Line
	profiles, needed, nowhere := unoffered(c)
	for _, p := range slices.Sorted(maps.Keys(profiles)) {
		lines = append(lines, wrong(check, "kubectl describe nodes", "profile %s can run nowhere: no node offers any resource that it names; install their device plugins, or change the profile", p))
	}
	lines = append(lines, unserved(c, needed)...)
	if len(lines) > 0 {
		return lines
	}
	if len(nowhere) > 0 {
		return []Line{ok(check, "every profile can run on some node; no node offers %s", list(slices.Sorted(maps.Keys(nowhere))))}
	}
	return []Line{ok(check, "nodes offer every resource that the profiles name")}
}

// unserved are the devices that an exporter reports as healthy, or does not judge, of a
// needed resource of which their node's kubelet has none to allocate.
func unserved(c *Cluster, needed map[string]bool) []Line {
	if c.Replicas.Err != nil || len(c.Replicas.Value) == 0 {
		return nil // the check of the extender reports it
	}
	allocatable := map[string]corev1.ResourceList{}
	for _, n := range c.Nodes.Value {
		allocatable[n.Name] = n.Status.Allocatable
	}
	var lines []Line
	for _, n := range c.Replicas.Value[0].Nodes {
		resources, known := allocatable[n.Name]
		seen := map[string]bool{}
		for _, d := range n.Devices {
			q := resources[corev1.ResourceName(d.Resource)]
			if !known || !needed[d.Resource] || seen[d.Resource] || q.Sign() > 0 || d.Healthy != nil && !*d.Healthy {
				continue
			}
			seen[d.Resource] = true
			lines = append(lines, wrong("devices", "kubectl get pods -A --field-selector spec.nodeName="+n.Name,
				"node %s has the %s %s, and no %s to allocate: its device plugin does not run there", n.Name, d.Kind, d.ID, d.Resource))
		}
	}
	return lines
}
