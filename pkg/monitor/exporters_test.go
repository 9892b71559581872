package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

// sick is the telemetry of a node whose GPU is unhealthy.
func sick(node string) telemetry.Scrape {
	s := gpu(node, 0)
	s.Devices[0].Health = accel.Unhealthy
	return s
}

// conflicting lists the nodes of the conflicts in an error.
func conflicting(err error) []string {
	var nodes []string
	for node := range conflictsOf(flatten(err)) {
		nodes = append(nodes, node)
	}
	slices.Sort(nodes)
	return nodes
}

// changing serves the telemetry that it points to.
func changing(t *testing.T, s *atomic.Pointer[telemetry.Scrape]) *httptest.Server {
	t.Helper()
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, one := range telemetry.Encode(*s.Load()) {
			var labels []string
			for k, v := range one.Labels {
				labels = append(labels, fmt.Sprintf("%s=%q", k, v))
			}
			fmt.Fprintf(w, "%s{%s} %v\n", one.Name, strings.Join(labels, ","), one.Value)
		}
	}))
}

// TestPagesAtURLs: a page speaks for the node that it spoke for first, and silences
// no other that is known.
func TestPagesAtURLs(t *testing.T) {
	var g, f atomic.Pointer[telemetry.Scrape]
	set := func(p *atomic.Pointer[telemetry.Scrape], s telemetry.Scrape) { p.Store(&s) }
	atG, atF := changing(t, &g), changing(t, &f)
	open := func() Source {
		source, err := Exporters([]string{atG.URL, atF.URL}, nil, http.DefaultClient)
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	source := open()
	for _, step := range []struct {
		name      string
		g, f      telemetry.Scrape
		want      []telemetry.Scrape
		conflicts []string
		restarted bool
	}{
		{"each its own", gpu("g", 1), gpu("f", 1), []telemetry.Scrape{gpu("f", 1), gpu("g", 1)}, nil, false},
		{"f says that g is unhealthy", gpu("g", 1), sick("g"), []telemetry.Scrape{gpu("g", 1)}, []string{"f"}, false},
		{"and that it is another", gpu("g", 1), gpu("x", 1), []telemetry.Scrape{gpu("g", 1)}, []string{"f"}, false},
		{"it comes to its senses", gpu("g", 1), gpu("f", 2), []telemetry.Scrape{gpu("f", 2), gpu("g", 1)}, nil, false},
		{"both claim it from the start", gpu("g", 1), sick("g"), nil, []string{"g"}, true},
		{"until one stops", gpu("g", 1), gpu("f", 1), []telemetry.Scrape{gpu("f", 1), gpu("g", 1)}, nil, false},
	} {
		if step.restarted {
			source = open()
		}
		set(&g, step.g)
		set(&f, step.f)
		got, err := source(t.Context())
		if diff := cmp.Diff(step.want, byNode(got), ignoreTime); diff != "" {
			t.Errorf("%s (-want +got)\n%s", step.name, diff)
		}
		if diff := cmp.Diff(step.conflicts, conflicting(err)); diff != "" {
			t.Errorf("%s: conflicts (-want +got)\n%s%v", step.name, diff, err)
		}
	}
}

// TestNewcomerClaimsAKnownNode: a page that nobody knows does not silence one that
// is known.
func TestNewcomerClaimsAKnownNode(t *testing.T) {
	pages := []page{{url: "a", node: "g"}, {url: "b"}}
	got, errs := accept(pages, []telemetry.Scrape{gpu("g", 1), sick("g")})
	if len(got) != 1 || got[0].url != "a" || len(errs) != 1 || len(conflictsOf(errs)) > 0 {
		t.Errorf("accepted %v, %v", got, errs)
	}
}

// exporterPod is a running pod of our namespace.
func exporterPod(name, node string, change func(*corev1.Pod), addresses ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ours", Name: name}, Spec: corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	for _, a := range addresses {
		p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: a})
	}
	if change != nil {
		change(p)
	}
	return p
}

// TestPagesOfPods: behind a Service a page speaks for the node that its pod runs
// on, by the API server, and an address of no pod of the namespace is not asked.
func TestPagesOfPods(t *testing.T) {
	in := func(namespace string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Namespace = namespace } }
	ended := func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }
	for name, tc := range map[string]struct {
		pods     []*corev1.Pod
		says     telemetry.Scrape
		want     bool
		conflict []string
		err      string
		asked    bool
	}{
		"its own node":               {pods: []*corev1.Pod{exporterPod("e", "g", nil, "127.0.0.1")}, says: gpu("g", 1), want: true, asked: true},
		"of two addresses":           {pods: []*corev1.Pod{exporterPod("e", "g", nil, "fd00::1", "127.0.0.1")}, says: gpu("g", 1), want: true, asked: true},
		"another's node":             {pods: []*corev1.Pod{exporterPod("e", "g", nil, "127.0.0.1")}, says: sick("f"), conflict: []string{"g"}, err: "says that it is node f", asked: true},
		"a pod of another namespace": {pods: []*corev1.Pod{exporterPod("e", "g", in("tenant"), "127.0.0.1")}, says: sick("g"), err: "no pod of namespace ours"},
		"a pod that ended":           {pods: []*corev1.Pod{exporterPod("e", "g", ended, "127.0.0.1")}, says: sick("g"), err: "no pod of namespace ours"},
		"no pod":                     {says: sick("g"), err: "no pod of namespace ours"},
		"an address of two nodes": {
			pods: []*corev1.Pod{exporterPod("e", "g", nil, "127.0.0.1"), exporterPod("d", "f", nil, "127.0.0.1")}, says: sick("g"), err: "no pod of namespace ours",
		},
		"an address that moved": {
			pods: []*corev1.Pod{exporterPod("e", "f", nil, "127.0.0.1"), exporterPod("e", "f", ended, "127.0.0.1"), exporterPod("d", "g", nil, "127.0.0.1")}, says: gpu("g", 1), want: true, asked: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var says atomic.Pointer[telemetry.Scrape]
			says.Store(&tc.says)
			behind := changing(t, &says)
			asked := false
			front := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = true
				behind.Config.Handler.ServeHTTP(w, r)
			}))
			pods := NewPods(func() error { return nil })
			e := dnsExporters(t, front, pods, "127.0.0.1")
			for _, p := range tc.pods {
				pods.Set(p)
			}
			got, err := e.fetch(t.Context())
			if (len(got) == 1) != tc.want || asked != tc.asked {
				t.Errorf("got %v, asked: %v", got, asked)
			}
			if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) || tc.err == "" && err != nil {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.conflict, conflicting(err)); diff != "" {
				t.Errorf("conflicts (-want +got)\n%s", diff)
			}
			for _, p := range tc.pods {
				pods.Delete(types.NamespacedName{Namespace: p.Namespace, Name: p.Name})
			}
			if got, err := e.fetch(t.Context()); len(got) > 0 || err == nil {
				t.Errorf("after the pods are gone: %v, %v", got, err)
			}
		})
	}
}

// dnsExporters are those of a Service with the given addresses, at the port of a
// server.
func dnsExporters(t *testing.T, at *httptest.Server, pods *Pods, addresses ...string) *exporters {
	t.Helper()
	u, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	one, err := parseTarget("dns+http://exporters.ours:" + u.Port())
	if err != nil {
		t.Fatal(err)
	}
	if pods != nil {
		pods.watch(one.namespace)
	}
	return &exporters{targets: []target{one}, scraper: newScraper(at.Client()), pods: pods, bound: map[string]string{},
		resolve: func(_ context.Context, host string) ([]string, error) {
			if host != "exporters.ours" {
				return nil, &net.DNSError{Name: host, IsNotFound: true}
			}
			return addresses, nil
		}}
}

// TestPodsAreWaitedFor: before the pods are known no address is refused.
func TestPodsAreWaitedFor(t *testing.T) {
	g := exporter(t, gpu("g", 1))
	var synced atomic.Bool
	waits := make(chan struct{}, 100)
	pods := NewPods(func() error {
		if synced.Load() {
			return nil
		}
		waits <- struct{}{}
		return errors.New("waiting for the list of pods")
	})
	e := dnsExporters(t, g, pods, "127.0.0.1")
	go func() {
		<-waits
		pods.Set(exporterPod("e", "g", nil, "127.0.0.1"))
		synced.Store(true)
	}()
	if got, err := e.fetch(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	synced.Store(false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.fetch(ctx); err == nil {
		t.Error("no error although the pods are not known")
	}
}

func TestScrapeEveryAddressOfAName(t *testing.T) {
	g := exporter(t, gpu("g", 1))
	var hosts atomic.Value
	front := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts.Store(r.Host)
		g.Config.Handler.ServeHTTP(w, r)
	}))
	// Nobody listens on the second address. Nobody follows the API server either.
	e := dnsExporters(t, front, nil, "127.0.0.1", "127.99.99.99")
	got, err := e.fetch(t.Context())
	if diff := cmp.Diff([]telemetry.Scrape{gpu("g", 1)}, got, ignoreTime); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err == nil || !strings.Contains(err.Error(), "127.99.99.99") {
		t.Errorf("error %v, want one that names the dead address", err)
	}
	if hosts.Load() != "exporters.ours:"+e.targets[0].url.Port() {
		t.Errorf("asked for host %v", hosts.Load())
	}

	if _, err := dnsExporters(t, front, nil, "127.0.0.1").fetch(t.Context()); err != nil {
		t.Errorf("the address is gone from DNS and still asked: %v", err)
	}
	if got, err := dnsExporters(t, front, nil, "127.0.0.1", "::ffff:127.0.0.1").fetch(t.Context()); len(got) > 0 || conflicting(err) == nil {
		t.Errorf("two addresses say that they are g: %v, %v", got, err)
	}
	gone := dnsExporters(t, front, nil)
	gone.targets[0].url.Host = "gone.ours:1"
	var dnsErr *net.DNSError
	if _, err := gone.fetch(t.Context()); !errors.As(err, &dnsErr) {
		t.Errorf("error %v, want the resolver's", err)
	}
}

// TestRedirect: a page does not pass another one on as its own.
func TestRedirect(t *testing.T) {
	g := exporter(t, gpu("g", 1))
	liar := serve(t, http.RedirectHandler(g.URL+"/metrics", http.StatusFound))
	source, err := Exporters([]string{liar.URL}, nil, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := source(t.Context()); len(got) > 0 || err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("got %v, %v", got, err)
	}
}
