package show

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"heteroaccel.io/cli/pages"
)

// Queue are the pending pods of each kind.
type Queue struct {
	Kinds []KindQueue `json:"kinds"`
	pages.Omissions
}

// KindQueue are the pending pods of a kind, in the order in which they wait.
type KindQueue struct {
	Kind string   `json:"kind"`
	Pods []Queued `json:"pods"`
}

// Queued is a pending pod. Position counts from 1; it is 0 for a pod that kube-scheduler
// does not look at: one with scheduling gates, or that is being deleted.
type Queued struct {
	Position int `json:"position"`
	pages.Pod
}

// QueueOf finds the pods that wait. Of those of other namespaces than one, "" for all,
// only the positions count.
func QueueOf(all pages.Pods, namespace string) Queue {
	kinds := map[string][]pages.Pod{}
	for _, p := range all.Pods {
		if p.Waits() {
			kinds[p.Kind] = append(kinds[p.Kind], p)
		}
	}
	q := Queue{Kinds: []KindQueue{}, Omissions: all.Omissions}
	for kind, pods := range kinds {
		slices.SortFunc(pods, order)
		k, position := KindQueue{Kind: kind}, 0
		for _, p := range pods {
			queued := Queued{Pod: p}
			if !p.Gated && !p.Deleted {
				position++
				queued.Position = position
			}
			if namespace == "" || p.Namespace == namespace {
				k.Pods = append(k.Pods, queued)
			}
		}
		if len(k.Pods) > 0 {
			q.Kinds = append(q.Kinds, k)
		}
	}
	slices.SortFunc(q.Kinds, func(a, b KindQueue) int {
		return cmp.Or(cmp.Compare(len(b.Pods), len(a.Pods)), cmp.Compare(a.Kind, b.Kind))
	})
	return q
}

// order is that of kube-scheduler's queue, by priority and then by age; last are the pods
// that are not in it.
func order(a, b pages.Pod) int {
	out := func(p pages.Pod) int {
		if p.Gated || p.Deleted {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(out(a), out(b)), cmp.Compare(b.Priority, a.Priority), created(a).Compare(created(b)),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

func created(p pages.Pod) time.Time {
	if p.Created == nil {
		return time.Time{}
	}
	return *p.Created
}

// glance is how much of a sentence a table has that is not wide.
const glance = 60

// Text is the queue as a table.
func (q Queue) Text(wide bool) string {
	if len(q.Kinds) == 0 {
		return "no pod waits for an accelerator\n"
	}
	head := []string{"KIND", "#", "NAMESPACE", "NAME", "INFERENCE", "AGE", "REASON", "VERDICT"}
	if wide {
		head = []string{"KIND", "#", "NAMESPACE", "NAME", "INFERENCE", "PRIORITY", "AGE", "UNSCHEDULABLE", "REASON", "VERDICT"}
	}
	var rows [][]string
	for _, k := range q.Kinds {
		for _, p := range k.Pods {
			row := []string{k.Kind, p.position(), p.Namespace, p.Name, p.Inference}
			if wide {
				row = append(row, strconv.Itoa(int(p.Priority)), p.age(), p.unschedulable(), p.Reason, p.verdict())
			} else {
				row = append(row, p.age(), short(p.Reason, glance), short(p.verdict(), glance))
			}
			rows = append(rows, row)
		}
	}
	return table(head, rows)
}

func (p Queued) position() string {
	if p.Position == 0 {
		return ""
	}
	return strconv.Itoa(p.Position)
}

func (p Queued) age() string {
	if p.Created == nil {
		return ""
	}
	return age(p.AgeSeconds)
}

// verdict is kube-scheduler's, or why it does not look at the pod.
func (p Queued) verdict() string {
	switch {
	case p.Deleted:
		return "it is being deleted"
	case p.Gated:
		return "it has scheduling gates"
	}
	return p.Verdict
}

// unschedulable is for how long kube-scheduler has found no node.
func (p Queued) unschedulable() string {
	if p.VerdictTime == nil || p.Created == nil {
		return ""
	}
	// Both times are the API server's; the extender alone knows what time it is now.
	return age(max(0, p.AgeSeconds-p.VerdictTime.Sub(*p.Created).Seconds()))
}
