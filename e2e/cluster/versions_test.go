package cluster

import (
	"regexp"
	"strings"
	"testing"
)

// TestVersions: every program of every minor has one.
func TestVersions(t *testing.T) {
	list, err := Minors()
	if err != nil {
		t.Fatal(err)
	}
	for _, minor := range list {
		t.Run(minor, func(t *testing.T) {
			t.Setenv(Kubernetes, minor)
			versionsOf(t, minor)
		})
	}
}

func versionsOf(t *testing.T, minor string) {
	versions, err := Versions()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"} {
		if !regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(versions[name]) {
			t.Errorf("%s has the version %q", name, versions[name])
		}
	}
	if versions["kubectl"] != versions["kube-apiserver"] || !strings.HasPrefix(versions["kubectl"], "v"+minor+".") || versions["kwok"] == versions["etcd"] {
		t.Errorf("versions %v", versions)
	}
}
