package discovery

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/exporter/testmachine"
)

var update = flag.Bool("update", false, "update the golden files")

// all is everything that is found on a machine.
func all(t testing.TB, m Mounts) ([]Device, error) {
	t.Helper()
	var found []Device
	var first error
	for _, find := range []func(Mounts) ([]Device, error){FPGAs, GPUs, NPUs, Sticks, PCI} {
		some, err := find(m)
		if err != nil && first == nil {
			first = err
		}
		found = append(found, some...)
	}
	return Merge(found), first
}

// Everything that is found on each of the machines, field by field.
func TestMachines(t *testing.T) {
	for _, name := range testmachine.Names(t) {
		t.Run(name, func(t *testing.T) {
			sys, proc := testmachine.Write(t, name)
			found, err := all(t, Mounts{sys, proc})
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(found, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
