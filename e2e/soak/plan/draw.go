package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
)

// wishes are the kinds that pods are allowed, by what their annotation says.
var wishes = []string{"any", "any", "gpu,npu", "gpu,npu", "npu,gpu", "npu,gpu", "gpu,npu,fpga", "npu,fpga", "fpga,gpu", "gpu,cpu", "npu,cpu", "gpu", "npu"}

// refusable is in how many of a hundred owners every kind may be one that the
// API server refuses there.
const refusable = 4

// drawOwners draws owners until they have their pods together: a quarter of them
// servers, which do not end, in the first quarter of the time, and the rest
// work that ends, spread over most of it.
func (p *Plan) drawOwners(r *rand.Rand) {
	servers, pods := p.Size.Pods/4, 0
	for pods < servers {
		sort := pick(r, Deployment, Deployment, Deployment, StatefulSet, StatefulSet, StatefulSet, Controller, DaemonSet, Bare, Bare, Job)
		o := p.drawOwner(r, sort, false, min(4, servers-pods))
		o.At = p.within(r, 0.25)
		pods += o.Count
	}
	for pods < p.Size.Pods {
		sort := pick(r, Job, Job, IndexedJob, Bare, Bare, Bare, Bare)
		o := p.drawOwner(r, sort, true, min(4, p.Size.Pods-pods))
		o.At = p.within(r, 0.7)
		pods += o.Count
	}
}

func (p *Plan) within(r *rand.Rand, part float64) time.Duration {
	return time.Duration(r.Float64() * part * float64(p.Size.Duration)).Round(time.Millisecond)
}

// drawOwner draws one owner, of at most so many pods at a time.
func (p *Plan) drawOwner(r *rand.Rand, sort Sort, ends bool, most int) *Owner {
	o := &Owner{Sort: sort, Ends: ends, Count: 1 + r.IntN(most)}
	o.Name = fmt.Sprintf("%s-%03d", strings.ToLower(strings.ReplaceAll(string(sort), " ", "-")), len(p.Owners))
	if sort == Controller {
		o.Name = fmt.Sprintf("rc-%03d", len(p.Owners))
	}
	if sort == Bare {
		o.Count = 1
	}
	wish := ""
	for {
		n := pick(r, p.Namespaces...)
		o.Namespace = n.Name
		o.Inference = pick(r, p.Profiles...).Name
		wish = pick(r, wishes...)
		if sort == DaemonSet {
			wish = "any" // every node has cores
		}
		o.Kinds = p.kinds(o.Inference, wish)
		if len(o.Kinds) == 0 {
			continue
		}
		allowed := slices.ContainsFunc(o.Kinds, func(k accel.Kind) bool { return !p.forbids(n, o.Inference, k) })
		if sort == DaemonSet {
			allowed = !p.forbids(n, o.Inference, accel.CPU)
		}
		if allowed || sort != DaemonSet && chance(r, refusable) {
			break
		}
	}
	if sort == Job || sort == IndexedJob {
		o.Completions = o.Count
		if ends {
			o.Completions *= 1 + int(p.Size.Duration/(2*time.Minute)) + r.IntN(2)
		}
	}
	p.drawTemplate(r, o, wish)
	p.drawConstraints(r, o)
	p.Owners = append(p.Owners, o)
	return o
}

// kinds reads an annotation as a person would: nil where the inference lacks
// one of the kinds, which the webhook refuses.
func (p *Plan) kinds(inference, wish string) (kinds []accel.Kind) {
	if wish == "any" {
		wish = "gpu,npu,fpga,cpu"
	} else {
		for k := range strings.SplitSeq(wish, ",") {
			if _, ok := p.Variant(inference, accel.Kind(strings.ToUpper(k))); !ok {
				return nil
			}
		}
	}
	for k := range strings.SplitSeq(wish, ",") {
		if _, ok := p.Variant(inference, accel.Kind(strings.ToUpper(k))); ok {
			kinds = append(kinds, accel.Kind(strings.ToUpper(k)))
		}
	}
	return kinds
}

// forbids reports whether a namespace never lets a kind in, whatever else is
// in it. It serves to draw plans that make sense; what the API server really
// refuses, the soak asks it.
func (p *Plan) forbids(n *Namespace, inference string, kind accel.Kind) bool {
	v, ok := p.Variant(inference, kind)
	if !ok {
		return true
	}
	if len(v.Volumes) > 0 && n.Level != "privileged" {
		return true
	}
	if n.Limits != nil {
		for _, item := range n.Limits.Spec.Limits {
			for name, most := range item.Max {
				if amount, ok := v.Limits[name]; ok && amount.Cmp(most) > 0 {
					return true
				}
			}
		}
	}
	for _, q := range n.Quotas {
		if hard, ok := q.Spec.Hard[corev1.ResourceName("requests."+device(v))]; ok && hard.IsZero() {
			return true
		}
	}
	return false
}
