package barepod

import (
	"slices"
	"testing"
)

// TestNames: no record is stored before recovery has looked at its name, and one
// namespace cannot take them all.
func TestNames(t *testing.T) {
	r := New(Config{})
	if name, ok := r.takeName("ns"); ok {
		t.Fatalf("%s was taken before recovery", name)
	}
	for _, name := range RecordNames {
		r.freeName(name)
	}
	var taken []string
	for name, ok := r.takeName("ns"); ok; name, ok = r.takeName("ns") {
		if slices.Contains(taken, name) {
			t.Fatalf("%s was taken twice", name)
		}
		taken = append(taken, name)
	}
	if len(taken) != recordsPerNamespace || r.Records() != recordsPerNamespace {
		t.Errorf("one namespace has %d names and %d records, want %d", len(taken), r.Records(), recordsPerNamespace)
	}
	if _, ok := r.takeName("other"); !ok {
		t.Error("another namespace has no name left")
	}
	r.freeName(taken[0])
	if _, ok := r.takeName("ns"); !ok {
		t.Error("a name that was freed cannot be taken")
	}
}
