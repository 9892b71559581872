package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// rights judges what our service accounts may do.
func rights(c *Cluster) []Line {
	const check = "rights"
	if c.Rights.Err != nil {
		return []Line{unread(check, c.Rights.Err, "ask for others' rights (create subjectaccessreviews)", "the API server answers no SubjectAccessReviews", "")}
	}
	var lines []Line
	for _, r := range c.Rights.Value {
		if r.Allowed {
			continue
		}
		what := strings.TrimSpace(r.Resource + " " + r.Name)
		if r.Namespace != "" {
			what += " in " + r.Namespace
		}
		lines = append(lines, wrong(check, c.install(), "%s may not %s %s, which it needs for %s", r.Account, r.Verb, what, r.For))
	}
	if len(lines) == 0 {
		lines = append(lines, ok(check, "our accounts have the %d rights that were asked about", len(c.Rights.Value)))
	}
	return lines
}

// Needed are the rights that decide whether anything works, given the arguments of the
// containers of the webhook and the extender.
func Needed(system string, webhookArgs, extenderArgs []string) []Right {
	needed := []Right{
		{Account: Webhook, Verb: "list", Resource: "pods", For: "seeing who holds a device"},
		{Account: Webhook, Verb: "list", Resource: "nodes", For: "seeing which nodes have devices"},
		{Account: Webhook, Verb: "watch", Group: "heteroaccel.io", Resource: "inferenceprofiles", For: "knowing what can be asked for"},
		{Account: Webhook, Verb: "update", Group: "heteroaccel.io", Resource: "inferenceprofiles/status", For: "recording service times"},
		{Account: Webhook, Verb: "get", Resource: "secrets", Namespace: system, Name: "heteroaccel-webhook-key", For: "sealing its records"},
		{Account: Webhook, Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: system, Name: "heteroaccel-webhook", For: "the election of the replica that decides"},
		{Account: Extender, Verb: "list", Resource: "pods", For: "seeing who holds a device"},
		{Account: Extender, Verb: "list", Resource: "nodes", For: "seeing which nodes have devices"},
		{Account: Extender, Verb: "watch", Group: "heteroaccel.io", Resource: "inferenceprofiles", For: "knowing which kind a resource is of"},
		{Account: Extender, Verb: "get", Resource: "secrets", Namespace: system, Name: "heteroaccel-webhook-key", For: "telling which pods the webhook admitted"},
	}
	if !has(webhookArgs, "--readmission", "false") {
		needed = append(needed,
			Right{Account: Webhook, Verb: "delete", Resource: "pods", For: "recreating pending pods (the component no-readmission does without)"},
			Right{Account: Webhook, Verb: "patch", Resource: "pods", For: "recreating pending pods (the component no-readmission does without)"})
	}
	const dra = "resource.k8s.io"
	if bindsLate(webhookArgs) {
		const late = "binding pods late (the component late-binding)"
		needed = append(needed,
			Right{Account: Webhook, Verb: "list", Group: dra, Resource: "resourceslices", For: late},
			Right{Account: Webhook, Verb: "create", Group: dra, Resource: "resourceclaims", For: late},
			Right{Account: Webhook, Verb: "delete", Group: dra, Resource: "resourceclaims", For: late},
			Right{Account: Webhook, Verb: "patch", Resource: "pods/resize", For: late})
		if has(webhookArgs, "--readmission", "false") { // else it is asked for above
			needed = append(needed, Right{Account: Webhook, Verb: "patch", Resource: "pods", For: late})
		}
	}
	if watchesClaims(extenderArgs) {
		needed = append(needed, Right{Account: Extender, Verb: "list", Group: dra, Resource: "resourceclaims", For: "showing pods that are bound late (the component late-binding)"})
	}
	if !has(webhookArgs, "--tls-cert-file", "") {
		needed = append(needed,
			Right{Account: Webhook, Verb: "patch", Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations", Name: RegistrationName, For: "keeping the caBundle right"})
	}
	return needed
}

// has reports whether args set a flag, to a value if that is not "".
func has(args []string, flag, value string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		name, v, _ := strings.Cut(a, "=")
		return name == flag && (value == "" || v == value)
	})
}

// versions judges whether the programs are of one version, and this one of the same.
func versions(c *Cluster) []Line {
	const check = "versions"
	of := map[string][]string{} // programs by version
	for _, name := range slices.Sorted(maps.Keys(c.Programs)) {
		switch p := c.Programs[name]; {
		case p.Err == nil:
			of[Version(p.Value.Image)] = append(of[Version(p.Value.Image)], name)
		case !apierrors.IsNotFound(p.Err): // what is missing, its own check reports
			return []Line{unread(check, p.Err, "read the workloads in "+c.System+" and "+c.Exporters, "", "")}
		}
	}
	found := slices.Sorted(maps.Keys(of))
	switch {
	case len(found) == 0:
		return []Line{notChecked(check, "no program of ours is installed as a workload")}
	case len(found) > 1:
		var all []string
		for _, v := range found {
			all = append(all, fmt.Sprintf("%s (%s)", v, strings.Join(of[v], ", ")))
		}
		return []Line{wrong(check, c.install(), "the programs are of different versions: %s", strings.Join(all, ", "))}
	case !c.Release:
		return []Line{ok(check, "the programs are %s; this program is a development build, which is not compared", found[0])}
	case found[0] != c.Version:
		return []Line{wrong(check, c.install(), "the programs are %s, and this program is %s: use the one of their version, or upgrade them", found[0], c.Version)}
	}
	return []Line{ok(check, "the programs and this one are %s", found[0])}
}

// Version is the tag of an image, or its digest where it has no tag.
func Version(image string) string {
	name, digest, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[i+1:]
	}
	if digest != "" {
		return digest
	}
	return "latest"
}
