package check

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestProfileWithoutANode: where no node offers what a profile's variants take, the check of
// devices alone is wrong, and the profiles are not called usable.
func TestProfileWithoutANode(t *testing.T) {
	c := sound(t)
	withoutNode("x", "example.com/dla")(c)
	want := "2 profiles, valid; no node offers what x can use"
	if got := profiles(c); len(got) != 1 || got[0].Result != OK || got[0].Message != want {
		t.Errorf("profiles: %+v, want %q", got, want)
	}
}

// withoutNode adds a profile that the webhook found no node for, with a variant for the
// resource.
func withoutNode(name, resource string) func(*Cluster) {
	return func(c *Cluster) {
		p := usable(name, resource)
		p.Status.Conditions[0].Status, p.Status.Conditions[0].Reason, p.Status.Conditions[0].Message = metav1.ConditionFalse, "NoNode", "no node has what it takes"
		c.Profiles.Value = append(c.Profiles.Value, *p)
	}
}
