package compose

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/cluster"
)

// service is as much of a service as the tests look at.
type service struct {
	Image       string   `json:"image"`
	Restart     string   `json:"restart"`
	User        string   `json:"user"`
	ReadOnly    bool     `json:"read_only"`
	CapDrop     []string `json:"cap_drop"`
	SecurityOpt []string `json:"security_opt"`
	NetworkMode string   `json:"network_mode"`
	Privileged  bool     `json:"privileged"`
	PullPolicy  string   `json:"pull_policy"`
	Ports       []struct {
		HostIP string `json:"host_ip"`
	} `json:"ports"`
	Volumes []struct {
		Type   string `json:"type"`
		Source string `json:"source"`
	} `json:"volumes"`
	HealthCheck struct {
		Test []string `json:"test"`
	} `json:"healthcheck"`
	DependsOn map[string]struct {
		Condition string `json:"condition"`
	} `json:"depends_on"`
}

// configured is docker-compose.yaml as Compose reads it, with everything that profiles
// switch on and in the environment alone that is given.
func configured(t *testing.T, env []string, profiles ...string) map[string]service {
	t.Helper()
	program, err := Install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--project-directory", root}
	for _, p := range profiles {
		args = append(args, "--profile", p)
	}
	cmd := exec.CommandContext(t.Context(), program, append(args, "config", "--format", "json")...)
	cmd.Dir, cmd.Env = root, append(env, "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("docker-compose config: %v: %s", err, complaints.String())
	}
	var project struct {
		Services map[string]service `json:"services"`
	}
	if err := json.Unmarshal(out, &project); err != nil {
		t.Fatal(err)
	}
	return project.Services
}

// standing are the services that always run, and steps those that end.
var (
	steps    = []string{"crd", "install", "pki", "profiles"}
	standing = []string{
		"connector", "etcd", "exporter-f", "exporter-g", "exporter-n", "extender", "kube-apiserver", "kube-controller-manager",
		"kube-scheduler", "kwok", "nodes", "webhook",
	}
)

func TestProfiles(t *testing.T) {
	all := slices.Sorted(slices.Values(slices.Concat(steps, standing)))
	for name, tt := range map[string]struct{ profiles, more []string }{
		"none":          {nil, nil},
		"observability": {[]string{"observability"}, []string{"grafana", "prometheus"}},
		"tools":         {[]string{"tools"}, []string{"kubectl"}},
		"all of them":   {[]string{"observability", "tools"}, []string{"grafana", "kubectl", "prometheus"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for s := range configured(t, nil, tt.profiles...) {
				got = append(got, s)
			}
			slices.Sort(got)
			if diff := cmp.Diff(slices.Sorted(slices.Values(slices.Concat(all, tt.more))), got); diff != "" {
				t.Errorf("services (-want +got):\n%s", diff)
			}
		})
	}
}

// TestServices: each is as confined as it can be, reached from this computer alone, and
// waited for.
func TestServices(t *testing.T) {
	services := configured(t, nil, "observability", "tools")
	awaited := map[string]bool{}
	for name, s := range services {
		for on, d := range s.DependsOn {
			want := "service_healthy"
			if services[on].Restart == "no" {
				want = "service_completed_successfully"
				awaited[on] = true
			}
			if d.Condition != want {
				t.Errorf("%s waits until %s is %s, want %s", name, on, d.Condition, want)
			}
		}
		if !s.ReadOnly || s.Privileged || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
			t.Errorf("%s is not confined: %+v", name, s)
		}
		root := strings.HasPrefix(s.User, "0") || s.User == ""
		if root != (name == "pki") || root && s.NetworkMode != "none" {
			t.Errorf("%s runs as %q in the network %q", name, s.User, s.NetworkMode)
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s is reached at %q", name, p.HostIP)
			}
		}
		for _, v := range s.Volumes {
			if v.Type == "bind" && !strings.Contains(v.Source, "/deploy") && !strings.HasSuffix(v.Source, "/e2e/cluster/stages.yaml") {
				t.Errorf("%s sees %s", name, v.Source)
			}
		}
		switch test := s.HealthCheck.Test; {
		case s.Restart == "no" && len(test) > 0:
			t.Errorf("%s ends, and has a health check", name)
		case s.Restart != "no" && (len(test) < 3 || test[0] != "CMD" || test[2] != "healthcheck"):
			t.Errorf("%s is checked by %q, which needs a shell, or by nothing", name, test)
		}
	}
	for _, step := range steps {
		if services[step].Restart != "no" || !awaited[step] {
			t.Errorf("%s is no step that somebody waits for: docker compose up --wait would fail when it ends", step)
		}
	}
}

// TestImages: unless told otherwise, nothing but Prometheus and Grafana is pulled, and
// everything has the version that is built here, unless an older one was chosen.
func TestImages(t *testing.T) {
	t.Setenv(cluster.Kubernetes, "")
	versions, err := cluster.Versions()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"etcd": "heteroaccel/etcd:" + versions["etcd"], "kwok": "heteroaccel/kwok:" + versions["kwok"],
		"prometheus": "prom/prometheus:v3.5.0", "grafana": "grafana/grafana:12.1.0",
		"pki": "heteroaccel/localcluster:v0.1.0", "nodes": "heteroaccel/localcluster:v0.1.0",
	}
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"} {
		want[name] = "heteroaccel/" + name + ":" + versions[name]
	}
	for _, name := range []string{"install", "crd", "profiles"} {
		want[name] = want["kubectl"]
	}
	for _, name := range []string{"webhook", "extender", "connector", "exporter-g", "exporter-f", "exporter-n"} {
		want[name] = "heteroaccel/heteroaccel:v0.1.0"
	}
	services := configured(t, nil, "observability", "tools")
	got := map[string]string{}
	for name, s := range services {
		got[name] = s.Image
		if pulled := strings.HasPrefix(s.Image, "prom/") || strings.HasPrefix(s.Image, "grafana/"); pulled != (s.PullPolicy == "missing") {
			t.Errorf("%s has the image %s, and pulls it: %s", name, s.Image, s.PullPolicy)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	official := configured(t, []string{
		"IMAGE_KUBERNETES=registry.example", "KUBERNETES_VERSION=v1.37.9", "IMAGE_ETCD=registry.example/etcd:3.6.6-0",
		"IMAGE_KWOK=registry.example/kwok/kwok:v0.8.0", "PULL_POLICY=missing",
	})
	for name, image := range map[string]string{
		"kube-apiserver": "registry.example/kube-apiserver:v1.37.9", "install": "registry.example/kubectl:v1.37.9",
		"etcd": "registry.example/etcd:3.6.6-0", "kwok": "registry.example/kwok/kwok:v0.8.0",
	} {
		if s := official[name]; s.Image != image || s.PullPolicy != "missing" {
			t.Errorf("told of a registry %s has the image %s and pulls it: %s", name, s.Image, s.PullPolicy)
		}
	}
}
