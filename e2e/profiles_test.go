package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// testdata are the files of profiles that the API server is to refuse, or to
// accept.
func testdata(t *testing.T, what string) []string {
	t.Helper()
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "pkg", "profile", "testdata", what, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("find profiles to be %s: %v", what, err)
	}
	return files
}

// byFile runs kubectl on many files and returns what it said of each that
// failed, by the file's name.
func byFile(t *testing.T, s *stack.Stack, files []string, args ...string) map[string]string {
	t.Helper()
	for _, f := range files {
		args = append(args, "-f", f)
	}
	said, _ := s.Kubectl(t.Context(), args...) // that some failed is what it says
	said = "\n" + said
	about := map[string]string{}
	// Each message names its file: what stands between one and the next is of
	// the first.
	parts := regexp.MustCompile(`(?m)^(?:Error|error)[^\n]*?"?(/[^"\s]+\.yaml)"?`).FindAllStringSubmatchIndex(said, -1)
	for i, p := range parts {
		end := len(said)
		if i+1 < len(parts) {
			end = parts[i+1][0]
		}
		about[said[p[2]:p[3]]] = said[p[0]:end]
	}
	return about
}

// profilesRefused: the comment on a file's first line is part of what kubectl
// prints.
func profilesRefused(t *testing.T, s *stack.Stack) {
	files := testdata(t, "refused")
	said := byFile(t, s, files, "create")
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(data), "\n")
			if want := strings.TrimPrefix(first, "# "); !strings.Contains(said[f], want) {
				t.Errorf("kubectl says\n%s\nwant\n%s", said[f], want)
			}
		})
	}
}

func profilesAccepted(t *testing.T, s *stack.Stack) {
	files := testdata(t, "accepted")
	for f, why := range byFile(t, s, files, "create") {
		t.Errorf("%s is refused: %s", filepath.Base(f), why)
	}
	for _, f := range files {
		if said, err := s.Kubectl(t.Context(), "delete", "-f", f); err != nil {
			t.Errorf("it was not created: %s", said)
		}
	}
}

// profilesExplained: kubectl explain has words for every field.
func profilesExplained(t *testing.T, s *stack.Stack) {
	for path, fields := range map[string][]string{
		"inferenceprofile":                 {"spec", "status"},
		"inferenceprofile.spec":            {"container", "deviceFlags", "conflictingFlags", "readsDeviceEnv", "template", "variants"},
		"inferenceprofile.spec.variants":   {"accelerator", "image", "device", "limits", "args", "env", "serviceTime", "supplementalGroups", "nodeSelector", "tolerations", "volumes", "volumeMounts"},
		"inferenceprofile.status":          {"accelerators", "observedGeneration", "conditions", "learned", "variants", "nodes", "images", "times"},
		"inferenceprofile.status.variants": {"accelerator", "nodes", "image", "imagePulled", "imageFailed", "imageError"},
		"inferenceprofile.status.learned":  {"accelerator", "time", "runs", "lastObserved", "variantHash", "recent"},
	} {
		said := kubectl(t, s, "explain", path)
		if strings.Contains(said, "<no description>") || strings.Contains(said, "<empty>") {
			t.Errorf("%s has fields without a description:\n%s", path, said)
		}
		for _, f := range fields {
			// A field's line, then its indented description.
			if !regexp.MustCompile(`(?m)^  ` + f + `\t<[^\n]*\n    \S`).MatchString(said) {
				t.Errorf("%s.%s is not explained:\n%s", path, f, said)
			}
		}
	}
}

// profilesListed: where each can run comes from the status, which the webhook writes.
func profilesListed(t *testing.T, s *stack.Stack) {
	eventually(t, func(ctx context.Context) error {
		said, err := s.Kubectl(ctx, "get", "inferenceprofiles")
		if err != nil {
			return err
		}
		if !strings.HasPrefix(strings.Join(strings.Fields(said), " "), "NAME USABLE NODES IMAGES LEARNED AGE ") {
			return fmt.Errorf("the columns are\n%s", said)
		}
		for _, inference := range []string{"face-recognition", "action-recognition", "text-recognition", "object-detection"} {
			if !regexp.MustCompile(`(?m)^` + inference + ` +True +GPU:1,NPU:1,FPGA:1,CPU:\d+ +GPU:\S+,NPU:\S+,FPGA:\S+,CPU:\S+ `).MatchString(said) {
				return fmt.Errorf("%s is not listed with its kinds:\n%s", inference, said)
			}
		}
		return nil
	})
}
