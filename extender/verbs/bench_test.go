package verbs

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/serve/servetest"
)

// BenchmarkVerbs measures filter and prioritize over HTTP on loopback, beside
// an encoding/json echo of the very same request.
func BenchmarkVerbs(b *testing.B) {
	names := extendertest.NodeNames(5000)
	echo, verbs := servetest.Echo[extenderv1.ExtenderArgs](), benchVerbs(b, names)
	for _, n := range []int{100, 500, 1000, 5000} {
		body := benchBody(b, names[:n])
		for _, clients := range []int{1, 8} {
			b.Run(fmt.Sprintf("names=%d/clients=%d", n, clients), func(b *testing.B) {
				servetest.Compare(b, clients, body, append([]servetest.Target{echo}, verbs...)...)
			})
		}
	}
}

// BenchmarkPreempt measures preempt the same way, with a victim on each node.
func BenchmarkPreempt(b *testing.B) {
	names := extendertest.NodeNames(5000)
	targets := []servetest.Target{
		servetest.Echo[extenderv1.ExtenderPreemptionArgs](),
		{Name: "preempt", Handler: benchHandler(b, names), Path: "/scheduler/preempt"},
	}
	for _, n := range []int{100, 500} { // kube-scheduler looks at a tenth of the nodes
		body := preemptBody(b, names[:n])
		b.Run(fmt.Sprintf("candidates=%d", n), func(b *testing.B) { servetest.Compare(b, 1, body, targets...) })
	}
}

func preemptBody(b *testing.B, names []string) []byte {
	b.Helper()
	args := extenderv1.ExtenderPreemptionArgs{NodeNameToMetaVictims: map[string]*extenderv1.MetaVictims{}}
	if err := json.Unmarshal(benchBody(b, nil), &args); err != nil { // its pod
		b.Fatal(err)
	}
	for i, name := range names {
		args.NodeNameToMetaVictims[name] = victims(0, fmt.Sprintf("uid-held-%d", i))
	}
	body, err := json.Marshal(args)
	if err != nil {
		b.Fatal(err)
	}
	return body
}

// BenchmarkHandler measures the same without the network.
func BenchmarkHandler(b *testing.B) {
	names := extendertest.NodeNames(5000)
	targets := append([]servetest.Target{servetest.Echo[extenderv1.ExtenderArgs]()}, benchVerbs(b, names)...)
	for _, n := range []int{100, 500, 1000, 5000} {
		body := benchBody(b, names[:n])
		for _, t := range targets {
			b.Run(fmt.Sprintf("names=%d/%s", n, t.Name), func(b *testing.B) { servetest.Allocations(b, body, t) })
		}
	}
}

func benchVerbs(b *testing.B, names []string) []servetest.Target {
	h := benchHandler(b, names)
	return []servetest.Target{
		{Name: "filter", Handler: h, Path: "/scheduler/filter"},
		{Name: "prioritize", Handler: h, Path: "/scheduler/prioritize"},
	}
}

// benchHandler serves an extender that knows all nodes, of which every tenth
// has an unhealthy device.
func benchHandler(b *testing.B, names []string) http.Handler {
	b.Helper()
	r := &rig{Cluster: extendertest.New(b, extendertest.Fixed), reg: prometheus.NewRegistry()}
	for i, name := range names {
		r.SetNode(name, nil, gpu, "2")
		r.Scrape(name, time.Second, extendertest.Device("GPU", "0000:00:02.0", gpu, func(d *accel.Device) {
			if i%10 == 0 {
				extendertest.Unhealthy(d)
			}
		}))
		r.SetPod(extendertest.Managed(fmt.Sprintf("held-%d", i), name, "GPU", nil, gpu, "1"))
	}
	return r.handler(b, func(c *Config) { c.Log = zerolog.Nop() })
}

// benchBody is a request as kube-scheduler sends it, of a pod with the usual
// defaults filled in.
func benchBody(b *testing.B, names []string) []byte {
	b.Helper()
	pod := extendertest.Managed("face-recognition-7c9d", "", "GPU", func(p *corev1.Pod) {
		p.Labels = map[string]string{"app": "face-recognition", "batch.kubernetes.io/job-name": "face-recognition"}
		c := &p.Spec.Containers[0]
		c.Image, c.ImagePullPolicy = "registry.example/heteroaccel/face-recognition:gpu", corev1.PullIfNotPresent
		c.Command = []string{"bash", "-c", "face_recognition_demo -i /dev/video0 -d GPU && sleep 1"}
		c.Env = []corev1.EnvVar{{Name: accel.DeviceEnv, Value: "GPU"}}
		c.VolumeMounts = []corev1.VolumeMount{{Name: "token", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}}
		c.Resources.Limits = c.Resources.Requests
		p.Spec.Volumes = []corev1.Volume{{Name: "token"}}
		p.Spec.SchedulerName, p.Spec.ServiceAccountName, p.Spec.RestartPolicy = "default-scheduler", "default", corev1.RestartPolicyNever
	}, gpu, "1", "cpu", "500m", "memory", "512Mi")
	body, err := json.Marshal(extenderv1.ExtenderArgs{Pod: pod, NodeNames: &names})
	if err != nil {
		b.Fatal(err)
	}
	return body
}
