package cluster

import (
	"regexp"
	"testing"
)

func TestVersions(t *testing.T) {
	versions, err := Versions()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"} {
		if !regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(versions[name]) {
			t.Errorf("%s has the version %q", name, versions[name])
		}
	}
	if versions["kubectl"] != versions["kube-apiserver"] || versions["kwok"] == versions["etcd"] {
		t.Errorf("versions %v", versions)
	}
}
