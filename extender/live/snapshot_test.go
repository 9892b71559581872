package live

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
)

// TestSnapshotIsRead: who asks once, while nobody looks, has the state as it is: it is read
// before the answer, unless it was just now.
func TestSnapshotIsRead(t *testing.T) {
	now := noon
	inv := inventory.New(inventory.Options{Now: func() time.Time { return now }})
	b := New(Config{
		Inventory: inv, Decisions: journal.New(1), Problems: func() []string { return nil },
		Node: func(n *inventory.Node) Node { return Node{Name: n.Name} },
	})
	see := Viewer{Nodes: true, Pods: func(string) bool { return true }, NotShown: func() string { return "" }}
	b.update()
	now = now.Add(looking)
	inv.SetNode(inventory.NodeOf(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "g"}}))
	got := make(chan Message)
	go func() { got <- b.Snapshot(t.Context(), see) }()
	read := <-b.reads
	b.update()
	close(read)
	if m := <-got; m.Nodes == nil || len(m.Nodes.Set) != 1 || m.Nodes.Set[0].Name != "g" {
		t.Errorf("the answer is %+v, want node g", m)
	}
	if m := b.Snapshot(t.Context(), see); len(m.Nodes.Set) != 1 { // nobody reads: it does not wait for that
		t.Errorf("the answer is %+v, want node g", m)
	}
}
