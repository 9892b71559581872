package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
)

// BenchmarkVerbs measures filter and prioritize over HTTP on loopback, beside
// what an encoding/json echo of the very same request takes. p50 and p99 are
// of single requests as their client sees them; ns/op is time by requests, and
// allocations are those of server and client together.
func BenchmarkVerbs(b *testing.B) {
	names := nodeNames(5000)
	extender := httptest.NewServer(benchHandler(b, names))
	defer extender.Close()
	echo := httptest.NewServer(http.HandlerFunc(echoArgs))
	defer echo.Close()
	for _, n := range []int{100, 500, 1000, 5000} {
		body := benchBody(b, names[:n])
		for _, clients := range []int{1, 8} {
			for _, v := range []struct{ name, url string }{
				{"json-echo", echo.URL},
				{"filter", extender.URL + "/scheduler/filter"},
				{"prioritize", extender.URL + "/scheduler/prioritize"},
			} {
				b.Run(fmt.Sprintf("names=%d/clients=%d/%s", n, clients, v.name), func(b *testing.B) {
					load(b, v.url, body, clients)
				})
			}
		}
	}
}

// BenchmarkHandler measures the verbs without the network.
func BenchmarkHandler(b *testing.B) {
	names := nodeNames(5000)
	extender := benchHandler(b, names)
	for _, n := range []int{100, 1000, 5000} {
		body := benchBody(b, names[:n])
		for _, v := range []string{"filter", "prioritize"} {
			b.Run(fmt.Sprintf("names=%d/%s", n, v), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					req := httptest.NewRequest(http.MethodPost, "/scheduler/"+v, bytes.NewReader(body))
					req.Header.Set("Content-Type", "application/json")
					extender.ServeHTTP(discard{}, req)
				}
			})
		}
	}
}

// discard is a response that goes nowhere.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// benchHandler serves an extender that knows all nodes, of which every tenth
// has an unhealthy device.
func benchHandler(b *testing.B, names []string) http.Handler {
	b.Helper()
	r := &rig{inv: inventory.New(inventory.Options{Now: fixed})}
	for i, name := range names {
		r.node(name, nil, gpu, "2")
		r.sample(name, time.Second, device("GPU", "0000:00:02.0", gpu, func(d *accel.Device) { d.Healthy = i%10 != 0 }))
		r.inv.SetPod(podRecord(managed(fmt.Sprintf("held-%d", i), name, "GPU", nil, gpu, "1")))
	}
	h, err := New(Config{
		Inventory: r.inv, Profiles: profile.NewStore(), Ready: func() error { return nil },
		Registerer: prometheus.NewRegistry(), Metrics: http.NotFoundHandler(), Log: zerolog.Nop(),
	})
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// benchBody is a request as kube-scheduler sends it, of a pod with the usual
// defaults filled in.
func benchBody(b *testing.B, names []string) []byte {
	b.Helper()
	pod := managed("face-recognition-7c9d", "", "GPU", func(p *corev1.Pod) {
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

// echoArgs is the yardstick: it decodes ExtenderArgs and encodes them again.
func echoArgs(w http.ResponseWriter, r *http.Request) {
	var args extenderv1.ExtenderArgs
	if err := json.NewDecoder(r.Body).Decode(&args); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(&args); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// load posts b.N times from so many clients at once.
func load(b *testing.B, url string, body []byte, clients int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	post := func() error {
		resp, err := client.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("POST %s: %s", url, resp.Status)
		}
		return nil
	}
	if err := post(); err != nil { // the connection, and the first time of everything
		b.Fatal(err)
	}
	took := make([][]time.Duration, clients)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	b.ResetTimer()
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := c; i < b.N; i += clients {
				start := time.Now()
				if err := post(); err != nil {
					b.Error(err)
					return
				}
				took[c] = append(took[c], time.Since(start))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	for _, p := range []int{50, 99} {
		at := all[(len(all)-1)*p/100]
		b.ReportMetric(float64(at)/float64(time.Microsecond), fmt.Sprintf("p%d-µs", p))
	}
}
