package world

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// coresPerRun is what one run on a CPU requests, in milli-cores.
const coresPerRun = 2000

func resourceOf(k accel.Kind) string { return "example.com/" + strings.ToLower(string(k)) }

func (w *World) addNodes() {
	for i, n := range w.Fleet.Nodes {
		capacity := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1000")}
		nd := node{up: true}
		for j, count := range n.Slots {
			if k := w.Fleet.Kinds[j].Name; count > 0 && k == accel.CPU {
				capacity[corev1.ResourceCPU] = *resource.NewMilliQuantity(int64(count)*coresPerRun, resource.DecimalSI)
			} else if count > 0 {
				capacity[corev1.ResourceName(resourceOf(k))] = *resource.NewQuantity(int64(count), resource.DecimalSI)
			}
			for range count {
				nd.slots = append(nd.slots, len(w.slots))
				w.slots = append(w.slots, slot{node: i, kind: j, job: -1})
			}
		}
		nd.record = inventory.NodeOf(&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%06d", i)},
			Status:     corev1.NodeStatus{Allocatable: capacity, Capacity: capacity},
		})
		w.nodes = append(w.nodes, nd)
		w.inv.SetNode(nd.record)
		w.open(i)
		w.planFailure(i)
	}
}

// open makes the slots of a node free.
func (w *World) open(i int) {
	for _, s := range w.nodes[i].slots {
		w.slots[s].up = true
		w.list(s)
	}
}

func (w *World) list(s int) {
	if sl := &w.slots[s]; !sl.listed {
		sl.listed = true
		w.idle[sl.kind] = append(w.idle[sl.kind], s)
	}
}

// idleSlot takes a free slot of a kind off the list, or returns -1.
func (w *World) idleSlot(kind int) int {
	for n := len(w.idle[kind]); n > 0; n-- {
		s := w.idle[kind][n-1]
		w.idle[kind] = w.idle[kind][:n-1]
		sl := &w.slots[s]
		sl.listed = false
		if sl.up && sl.job < 0 {
			return s
		}
	}
	return -1
}

func (w *World) planFailure(i int) {
	if w.Failing > 0 {
		mean := w.Failing
		if w.now > 0 && w.Again > 0 && w.failures.Float64() < w.Again {
			mean = w.AgainAfter
		}
		at := w.now + time.Duration(w.failures.ExpFloat64()*float64(mean))
		w.events.plan(event{at: at, do: fail, what: i})
	}
}

// failed takes a node away, and its pods with it: their owners recreate
// them.
func (w *World) failed(i int) error {
	n := &w.nodes[i]
	n.up = false
	w.inv.DeleteNode(n.record.Name)
	var lost []waiter
	for _, s := range n.slots {
		sl := &w.slots[s]
		sl.up = false
		if sl.job >= 0 {
			lost = append(lost, waiter{sl.job, w.jobs[sl.job].attempt})
			w.vacate(s)
		}
	}
	w.events.plan(event{at: w.now + w.Repair, do: repair, what: i})
	for _, a := range lost {
		id := a.job
		if w.jobs[id].attempt != a.attempt {
			continue // it went with another one
		}
		if w.jobs[id].serves != nil {
			if err := w.lostServer(id); err != nil {
				return err
			}
			continue
		}
		w.remove(id)
		w.measured.lost++
		if err := w.admit(id, 0); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) repaired(i int) error {
	n := &w.nodes[i]
	n.up = true
	w.inv.SetNode(n.record)
	w.open(i)
	w.wake()
	w.planFailure(i)
	for _, s := range n.slots {
		if err := w.schedule(w.slots[s].kind); err != nil {
			return err
		}
	}
	return nil
}
