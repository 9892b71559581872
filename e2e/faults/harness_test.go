//go:build faults

package faults

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"heteroaccel.io/e2e/faults/apiproxy"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/narrate"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// limit is far more than anything here needs.
const limit = 4 * time.Minute

// lines are the summary: what happened, in a line for each fault.
var lines struct {
	sync.Mutex
	all []string
}

// TestMain prints the summary.
func TestMain(m *testing.M) {
	code := m.Run()
	fmt.Println("\nfaults:")
	for _, line := range lines.all {
		fmt.Println("  " + line)
	}
	os.Exit(code)
}

// count adds a line to the summary, once everything was checked: a test that has failed
// adds none.
func count(t *testing.T, format string, args ...any) {
	t.Helper()
	if t.Failed() {
		return
	}
	line := fmt.Sprintf(format, args...) + "; nothing lost, doubled or stuck"
	t.Log(line)
	lines.Lock()
	defer lines.Unlock()
	lines.all = append(lines.all, line)
}

// eventually polls until check passes; its last error is the failure.
func eventually(t *testing.T, check func(context.Context) error) {
	t.Helper()
	if err := until(t.Context(), check); err != nil {
		t.Fatal(err)
	}
}

// until is eventually for what may be called from any goroutine.
func until(ctx context.Context, check func(context.Context) error) error {
	return poll.Within(ctx, limit, check)
}

// site is an installation in which things break.
type site struct {
	*stack.Stack
	client   kubernetes.Interface
	variants []v1alpha1.Variant
	late     bool // pods are bound late
	proxies  map[string]*apiproxy.Proxy
	watch    *watch
	waves    int
	poked    time.Time
	pods     int // that were asked for
}

// start runs an installation for one test, whose programs have the race detector,
// with a proxy before the API server for each of those named. The connector is
// among them only if it is named.
func start(t *testing.T, programs ...string) *site {
	t.Helper()
	return startWith(t, nil, programs...)
}

// startWith is start with further flags of the API server.
func startWith(t *testing.T, apiServer []string, programs ...string) *site {
	t.Helper()
	late, err := narrate.LateBinding()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	config := stack.Config{
		Out: &out, Race: true, ExtenderTimeout: 5 * time.Second,
		Machines: machine.Fleet(2, machine.Shape{GPUs: 2, Sticks: 2, Cores: 16}),
		Webhook:  []string{"--readmission-backoff=1s"}, APIServer: apiServer,
		Keep: os.Getenv("FAULTS_KEEP") != "",
	}
	if late {
		config.Late, config.NoReadmission, config.Drive = true, true, true
		config.Machines = machine.OnDRA(config.Machines)
		config.Webhook = append(config.Webhook, "--binding=late", "--readmission=false")
	}
	s, err := stack.Start(t.Context(), config)
	if err != nil {
		t.Fatalf("start the cluster: %v\n%s", err, out.String())
	}
	x := &site{Stack: s, client: s.Client(), late: late, proxies: map[string]*apiproxy.Proxy{}}
	t.Cleanup(func() {
		if t.Failed() {
			x.tell(t)
		}
		for _, what := range s.Crashes() {
			t.Error(what)
		}
		for _, p := range x.proxies {
			p.Close()
		}
		s.Stop()
	})
	p, err := s.Profiles.Get(t.Context(), inference, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x.variants = p.Spec.Variants
	if late {
		x.holdByClaims(t)
	}
	x.watch = follow(t, x)
	for _, name := range programs {
		x.insert(t, name)
	}
	return x
}

// insert puts a proxy between a program and the API server, and starts the program
// again.
func (x *site) insert(t *testing.T, name string) {
	t.Helper()
	cert, key, err := x.Certificate("proxy-"+name, "127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	p, err := apiproxy.Start(apiproxy.Config{Name: name, API: x.REST(), CA: x.CA(), Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	x.proxies[name] = p
	x.Through(name, p.URL())
	if before := x.Process(name); before != nil {
		before.Stop()
	}
	switch program, _, further := strings.Cut(name, "-"); {
	case program == "extender":
		err = x.StartExtender(t.Context())
	case program == "connector":
		if err = x.InstallConnector(t.Context()); err == nil {
			err = x.StartConnector(t.Context(), name, connectorFlags...)
		}
	case further: // another replica of the webhook, which stands by
		err = x.StartReplica(name)
	default:
		err = x.StartWebhook(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// connectorFlags are those of all connectors here.
var connectorFlags = []string{"--idle-timeout=1s", "--max-requests-per-second=1000", "--max-requests-burst=1000"}
