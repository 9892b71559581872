package check

import (
	"fmt"
	"time"

	"heteroaccel.io/cli/pages"
)

// extender judges whether the extender runs, and its pages answer.
func extender(c *Cluster) []Line {
	lines := program(c, "extender", Extender)
	switch {
	case c.Replicas.Err != nil:
		lines = append(lines, unread("extender pages", c.Replicas.Err, "forward a port to pods in "+c.System+" (create pods/portforward)", "there is no extender to ask", c.logs(Extender)))
	case len(c.Replicas.Value) == 0:
		lines = append(lines, notChecked("extender pages", "there is no extender to ask"))
	}
	return lines
}

// telemetry judges what the extender knows of each node's devices.
func telemetry(c *Cluster) []Line {
	const check = "telemetry"
	if c.Replicas.Err != nil || len(c.Replicas.Value) == 0 {
		return []Line{notChecked(check, "the extender's pages, which say how old it is, could not be read")}
	}
	var lines []Line
	var oldest time.Duration
	known := map[string]bool{}
	fresh := 0
	concerned := c.concerned()
	for _, n := range c.Replicas.Value[0].Nodes {
		known[n.Name] = true
		fix := fmt.Sprintf("kubectl -n %s get pods -o wide --field-selector spec.nodeName=%s", c.Exporters, n.Name)
		switch {
		case n.Conflict != "":
			lines = append(lines, wrong(check, fix, "node %s: %s", n.Name, n.Conflict))
		case n.Telemetry != nil && n.Telemetry.Fresh:
			fresh++
			oldest = max(oldest, time.Duration(n.Telemetry.AgeSeconds*float64(time.Second)))
		case !concerned[n.Name]:
		case n.Telemetry == nil:
			lines = append(lines, wrong(check, fix, "there is no telemetry of node %s: the extender cannot read the exporter there", n.Name))
		default:
			lines = append(lines, wrong(check, fix, "the telemetry of node %s is %s old: the extender cannot read the exporter there any more", n.Name, seconds(n.Telemetry.AgeSeconds)))
		}
	}
	for _, n := range c.Nodes.Value {
		if !known[n.Name] && onLinux(n) {
			lines = append(lines, wrong(check, c.logs(Extender), "the extender does not know node %s", n.Name))
		}
	}
	switch {
	case len(lines) > 0:
		return lines
	case fresh == 0:
		return []Line{ok(check, "of no node, and none has an exporter or a device that needs one")}
	}
	return []Line{ok(check, "of %s, the oldest %s old", count(fresh, "node"), oldest.Round(100*time.Millisecond))}
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Second)
}

// configure is the command that shows what kube-scheduler needs. DISTRIBUTION stands for
// one that docs/cli.md lists.
func (c *Cluster) configure() string {
	command := "heteroaccel scheduler-config --system-namespace " + c.System + " --for DISTRIBUTION"
	if has(c.Programs[Extender].Value.Args, "--tls-cert-file", "") {
		command += " --mtls"
	}
	return command
}

// scheduler judges whether kube-scheduler asks the extender.
func scheduler(c *Cluster) []Line {
	var lines []Line
	seen := map[string]bool{}
	for _, r := range c.Replicas.Value {
		for _, message := range r.Bypassed {
			if !seen[message] {
				seen[message] = true
				lines = append(lines, wrong("scheduler", c.configure(), "%s", message))
			}
		}
	}
	return append(lines, canary(c))
}

// canary judges what became of the pod that kube-scheduler placed for us.
func canary(c *Cluster) Line {
	const check = "scheduler"
	k := c.Canary
	last := "no question about a pod that exists is remembered"
	if k.LastPod != "" {
		last = fmt.Sprintf("the last question, about %s, was %s ago", k.LastPod, k.Last.Round(time.Second))
	}
	switch {
	case k.Left != nil:
		return wrong(check, fmt.Sprintf("kubectl -n %s delete pods -l heteroaccel.io/check", c.Namespace), "the pod that was to show whether the extender is asked is still there: %v", k.Left)
	case c.Replicas.Err != nil || len(c.Replicas.Value) == 0:
		return notChecked(check, "the extender's pages, which say whether it was asked, could not be read")
	case c.Mutated.Err != nil:
		return notChecked(check, "not provable while no pod can be admitted in namespace %s", c.Namespace)
	case mayNotCreate(k.Err):
		return notChecked(check, "you may not create pods in namespace %s: choose another with --namespace", c.Namespace)
	case k.Err != nil:
		return notChecked(check, "not provable now: %v", k.Err)
	case k.Late || k.NothingFree && c.onlyLate():
		return ok(check, "it need not ask the extender: devices are free for pods that are bound late alone")
	case k.NothingFree:
		return notChecked(check, "not provable now, since no device is free for a pod that would show it: %s", last)
	case k.Node == "":
		return notChecked(check, "not provable now: kube-scheduler did not place a pod that requests %s (%s); %s", k.Resource, k.Verdict, last)
	}
	return c.asked()
}

// asked judges the answers about a pod that was bound.
func (c *Cluster) asked() Line {
	const check = "scheduler"
	k := c.Canary
	unknown := ""
	for _, a := range k.Answers {
		switch a.Asked {
		case "yes":
			return ok(check, "kube-scheduler asked the extender about a pod that requested %s: %s", k.Resource, a.Message)
		case "no":
		default:
			unknown = answer(a)
		}
	}
	switch {
	case len(k.Answers) == 0:
		return notChecked(check, "no extender could be asked about the pod")
	case unknown != "":
		return notChecked(check, "not provable now: %s", unknown)
	}
	return wrong(check, c.configure(), "kube-scheduler bound a pod that requests %s without asking the extender: its configuration has no extender, another address, or not this resource", k.Resource)
}

func answer(a pages.Asked) string {
	if a.Message == "" {
		return a.Replica + " does not know the pod"
	}
	return a.Message
}
