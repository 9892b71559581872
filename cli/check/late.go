package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// late judges, where the webhook may bind pods late, whether there are devices for that.
// Elsewhere there is no such line.
func late(c *Cluster) []Line {
	const check = "late binding"
	if !bindsLate(c.Programs[Webhook].Value.Args) || c.Profiles.Err != nil {
		return nil
	}
	switch {
	case c.Replicas.Err != nil || len(c.Replicas.Value) == 0:
		return []Line{notChecked(check, "the extender's pages, which show which DeviceClasses have devices, could not be read")}
	case !watchesClaims(c.Programs[Extender].Value.Args):
		return []Line{wrong(check, c.install(), "the webhook binds pods late, and the extender cannot show them: it lacks --resource-claims, which the component late-binding gives it")}
	}
	have := map[string]bool{}
	for _, n := range c.Replicas.Value[0].Nodes {
		for _, r := range n.Resources {
			if class, ok := accel.ClassOf(r.Resource); ok {
				have[class] = true
			}
		}
	}
	var lines []Line
	bound, lacking := 0, map[string]bool{}
	var differ []string // profiles, each with what of its variants does
	for i := range c.Profiles.Value {
		in := &c.Profiles.Value[i]
		p, err := profile.New(in)
		if err != nil || c.bindingOf(p) == profile.Early {
			continue // the first is another check's
		}
		strict := c.bindingOf(p) == profile.Late
		switch {
		case p.NotLate == nil:
		case !strict && profile.AsksLate(in):
			differ = append(differ, fmt.Sprintf("%s (%v)", p.Name, p.NotLate))
		case strict:
			lines = append(lines, wrong(check, "kubectl edit inferenceprofile "+p.Name, "the pods of profile %s are to be bound late, and are bound early: %v", p.Name, p.NotLate))
		}
		all := p.NotLate == nil
		for _, v := range p.Late {
			if have[v.Class] {
				continue
			}
			all = false
			lacking[v.Class] = true
			if strict {
				lines = append(lines, wrong(check, "kubectl get deviceclasses,resourceslices", "no node has devices of DeviceClass %s, for which pods of profile %s may wait: install its driver, or change the profile", v.Class, p.Name))
			}
		}
		if all {
			bound++
		}
	}
	if len(lines) > 0 {
		return lines
	}
	var early []string // why pods are bound so
	if len(lacking) > 0 {
		early = append(early, "no node has devices of "+list(slices.Sorted(maps.Keys(lacking))))
	}
	if len(differ) > 0 {
		early = append(early, "these profiles have variants that cannot share a pod: "+list(differ))
	}
	if len(early) > 0 {
		return []Line{ok(check, "pods of %s are bound late; others are bound early, as %s", count(bound, "profile"), strings.Join(early, ", and as "))}
	}
	return []Line{ok(check, "pods of %s are bound late", count(bound, "profile"))}
}

// bindsLate reports whether a webhook with these arguments binds any pod late.
func bindsLate(webhookArgs []string) bool {
	return has(webhookArgs, "--binding", string(profile.Auto)) || has(webhookArgs, "--binding", string(profile.Late))
}

// watchesClaims reports whether an extender with these arguments knows DeviceClasses.
func watchesClaims(extenderArgs []string) bool {
	return has(extenderArgs, "--resource-claims", "") && !has(extenderArgs, "--resource-claims", "false")
}

// bindingOf is when the accelerator of the pods of a profile is settled: its own word
// counts where the webhook binds late at all.
func (c *Cluster) bindingOf(p *profile.Profile) profile.Binding {
	args := c.Programs[Webhook].Value.Args
	switch {
	case !bindsLate(args):
		return profile.Early
	case has(args, "--binding", string(profile.Late)):
		return cmp.Or(p.Binding, profile.Late)
	}
	return cmp.Or(p.Binding, profile.Auto)
}

// onlyLate reports whether pods are bound late, and no node has a device that one could
// get that is bound early.
func (c *Cluster) onlyLate() bool {
	return bindsLate(c.Programs[Webhook].Value.Args) && !slices.ContainsFunc(c.Nodes.Value, hasDevice)
}
