package refusals

import (
	"testing"
	"time"
)

// TestForgetDecisions: what a controller reports in the next term is not about a
// decision of this one; what was refused stays refused.
func TestForgetDecisions(t *testing.T) {
	b := newBed()
	b.Decided(owner, "before", "GPU")
	b.Denied(owner, "NPU", "no")
	b.ForgetDecisions()
	if lost, ok := b.CreateFailed(OwnerOf("ns", "rs", "", ""), forbidden); len(lost) != 0 || !ok {
		t.Errorf("lost %v, %v", lost, ok)
	}
	b.after(2 * time.Second)
	if lost := b.Requested(owner); len(lost) != 0 {
		t.Errorf("lost %v", lost)
	}
	if got := b.against(owner, "GPU"); got != "" {
		t.Errorf("the GPU is excluded: %s", got)
	}
	if b.against(owner, "NPU") == "" {
		t.Error("the NPU is not excluded any more")
	}
}
