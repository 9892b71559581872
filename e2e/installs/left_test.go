//go:build cluster

package installs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// objects are all that the cluster has, as KIND NAMESPACE/NAME, but for Events and what
// is deprecated.
func objects(t *testing.T) map[string]bool {
	t.Helper()
	all, err := listed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("the cluster has only %d objects", len(all))
	}
	return all
}

func listed(ctx context.Context) (map[string]bool, error) {
	said, err := shared.Kubectl(ctx, "api-resources", "--verbs=list", "-o", "name")
	if err != nil {
		return nil, err
	}
	resources := slices.DeleteFunc(strings.Fields(said), func(r string) bool {
		// Of the last two, which are deprecated, kubectl warns.
		return strings.HasPrefix(r, "events") || r == "componentstatuses" || r == "endpoints"
	})
	said, err = shared.Kubectl(ctx, "get", strings.Join(resources, ","), "-A", "--no-headers",
		"-o", "custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name")
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for line := range strings.Lines(said) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("kubectl lists %q", line)
		}
		all[fields[0]+" "+fields[1]+"/"+fields[2]] = true
	}
	// kube-scheduler's own, which elects a leader where its configuration is kubeadm's.
	delete(all, "Lease kube-system/kube-scheduler")
	return all, nil
}

// left waits until of all that came since before only this is left, KIND NAME or KIND
// NAMESPACE/NAME, and nothing else has gone.
func left(t *testing.T, before map[string]bool, want []string) {
	t.Helper()
	eventually(t, "nothing else is left", func(ctx context.Context) error {
		now, err := listed(ctx)
		if err != nil {
			return err
		}
		var more, fewer []string
		for o := range maps.Keys(now) {
			if name := strings.Replace(o, " <none>/", " ", 1); !before[o] && !slices.Contains(want, name) {
				more = append(more, name)
			}
		}
		for o := range maps.Keys(before) {
			if !now[o] {
				fewer = append(fewer, o)
			}
		}
		for _, w := range want {
			kind, name, _ := strings.Cut(w, " ")
			if !now[w] && !now[kind+" <none>/"+name] {
				fewer = append(fewer, w)
			}
		}
		if len(more)+len(fewer) > 0 {
			slices.Sort(more)
			slices.Sort(fewer)
			return errors.New("left: " + strings.Join(more, ", ") + "; gone: " + strings.Join(fewer, ", "))
		}
		return nil
	})
}

// readmeJob is the Job of the README of a tree.
func readmeJob(t *testing.T, root string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(text), "```yaml\n")[1:] {
		if block, _, _ := strings.Cut(part, "```"); strings.Contains(block, "\nkind: Job\n") {
			return block
		}
	}
	t.Fatal("the README has no Job")
	return ""
}
