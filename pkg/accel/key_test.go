package accel

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDevicesAndHoldersHaveOneOrder(t *testing.T) {
	devices := []Device{{Kind: "NPU", ID: "1"}, {Kind: "GPU", ID: "2"}, {Kind: "GPU", ID: "1"}}
	slices.SortFunc(devices, CompareDevices)
	var keys []string
	for _, d := range devices {
		keys = append(keys, d.Key().String())
	}
	if diff := cmp.Diff([]string{"GPU 1", "GPU 2", "NPU 1"}, keys); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	want := []Holder{
		{Namespace: "a", Pod: "z"},
		{Namespace: "b", Pod: "p", Container: "c", Claim: "z"},
		{Namespace: "b", Pod: "p", Container: "d", Claim: "y"},
		{Namespace: "b", Pod: "p", Container: "d", Claim: "z"},
		{Namespace: "b", Pod: "q"},
	}
	got := []Holder{want[4], want[3], want[1], want[2], want[0]}
	slices.SortFunc(got, CompareHolders)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
