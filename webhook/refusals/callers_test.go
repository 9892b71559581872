package refusals

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

// TestLongNames: of names that the API server has not checked little is kept, and
// they stay apart.
func TestLongNames(t *testing.T) {
	long := func(c string) string { return strings.Repeat(c, 1<<20) }
	seen := map[Owner]bool{}
	for _, o := range []Owner{
		OwnerOf("ns", types.UID(long("a")), "", ""), OwnerOf("ns", types.UID(long("b")), "", ""), OwnerOf("ns", "", long("a"), ""),
		OwnerOf("ns", "", "", long("a")), OwnerOf(long("a"), "", "p", ""),
	} {
		if n := len(o.Namespace) + len(o.UID) + len(o.Name); n > 100 || seen[o] {
			t.Errorf("%d bytes are kept: %+.200v", n, o)
		}
		seen[o] = true
	}
}

// TestConnections: what a caller of whom nobody knows who it is reports of an owner
// counts for its own connection, and makes room for what the API server asks.
func TestConnections(t *testing.T) {
	b := newBed()
	theirs := owner
	theirs.Connection = "somebody"
	for i := range 3 {
		b.Requested(theirs)
		b.Decided(theirs, fmt.Sprint("forged-", i), "NPU")
		b.after(2 * time.Second)
	}
	if b.Requested(theirs); b.against(theirs, "NPU") == "" || b.against(owner, "NPU") != "" {
		t.Errorf("against the kind: %q for itself, %q for all", b.against(theirs, "NPU"), b.against(owner, "NPU"))
	}
	b.Decided(theirs, "forged", "NPU")
	b.Decided(owner, "real", "GPU")
	if lost, ok := b.CreateFailed(owner, forbidden); !ok || !cmp.Equal(lost, []string{"real"}) {
		t.Errorf("to release: %v, %v", lost, ok)
	}
	// Where nothing else is known, it may have been the API server.
	if lost, ok := b.CreateFailed(owner, forbidden); !ok || len(lost) == 0 || b.against(owner, "NPU") == "" {
		t.Errorf("to release: %v, %v; against the kind: %q", lost, ok, b.against(owner, "NPU"))
	}
	for i := range 2 * maxOwners {
		o := OwnerOf("ns", "", fmt.Sprint(i), "")
		o.Connection = "somebody"
		b.Decided(o, fmt.Sprint(i), "GPU")
	}
	b.Decided(owner, "real", "GPU")
	if len(b.pending) > maxOwners || len(b.pending[owner]) != 1 {
		t.Errorf("%d owners are remembered, of the API server's %d decisions", len(b.pending), len(b.pending[owner]))
	}
}
