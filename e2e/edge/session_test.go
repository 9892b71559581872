//go:build cluster

package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	camera "heteroaccel.io/connector/camera/client"
	"heteroaccel.io/pkg/accel"
)

// finding is what the client's program prints of one server.
type finding struct {
	Inference, Address      string
	Live, Ready, ModelReady bool
	Finding, OtherFinding   struct {
		Score float64
		Where *[2]float64
		Text  string
	}
	Milliseconds map[string]float64
}

// The pictures have these in these places: the astronaut's face, the
// photographer's left hand, in parts of width and height.
var places = map[string][2]float64{"face-recognition": {0.43, 0.23}, "object-detection": {0.41, 0.43}}

// margin is by how much a picture that shows what is looked for has to score
// higher than one that does not. The scores themselves depend on the processor:
// OpenVINO infers in bfloat16 where there are instructions for it, and
// the pose in a page of text scores less than 0.15 on some computers and 0.26 on
// others.
const margin = 0.25

// check says what is wrong with what a server found.
func (f finding) check() error {
	least := map[string]float64{"face-recognition": 0.8, "action-recognition": 0.6, "object-detection": 0.3, "text-recognition": 0.9}[f.Inference]
	switch at, ok := places[f.Inference]; {
	case !f.Live || !f.Ready || !f.ModelReady:
		return fmt.Errorf("the server is live %v, ready %v, its model %v", f.Live, f.Ready, f.ModelReady)
	case f.Finding.Score < least || f.Finding.Score-f.OtherFinding.Score < margin:
		return fmt.Errorf("its score is %.3f, and without anything to find %.3f", f.Finding.Score, f.OtherFinding.Score)
	case ok && (f.Finding.Where == nil || math.Hypot(f.Finding.Where[0]-at[0], f.Finding.Where[1]-at[1]) > 0.08):
		return fmt.Errorf("it is at %v, want %v", f.Finding.Where, at)
	case f.Inference == "text-recognition" && !strings.HasPrefix(f.Finding.Text, "Region-based segm"):
		return fmt.Errorf("it reads %q", f.Finding.Text)
	}
	return nil
}

// find sends the pictures to the servers of sessions, with tritonclient in a
// pod, and checks what comes back.
func find(t *testing.T, name string, served []camera.Session) {
	t.Helper()
	var args []string
	for _, s := range served {
		args = append(args, s.Inference+"="+s.Address)
	}
	said, err := shared.Say(t.Context(), name, args...)
	if err != nil {
		shared.Explain()
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if len(lines) != len(served) {
		t.Fatalf("it says %q, want a line for each of %d servers", said, len(served))
	}
	for i, line := range lines {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Address != served[i].Address {
			t.Fatalf("%q is not of the server at %s: %v", line, served[i].Address, err)
		}
		if err := f.check(); err != nil {
			t.Errorf("%s on %s: %v: %s", f.Inference, served[i].Kind, err, line)
		}
		t.Logf("%s on %s: score %.3f, without anything to find %.3f, text %q, %v ms", f.Inference, served[i].Kind, f.Finding.Score, f.OtherFinding.Score, f.Finding.Text, f.Milliseconds)
	}
}

// TestAddressesAnswer: a client asks the connector for four inferences and gets four
// addresses on four kinds, where a client of others' making gets real results;
// when a server dies or hangs its session moves.
func TestAddressesAnswer(t *testing.T) {
	watchAllocations(t)
	client, _, err := shared.NewClient(t.Context(), "camera")
	if err != nil {
		t.Fatal(err)
	}
	inferences := []string{"face-recognition", "action-recognition", "text-recognition", "object-detection"}
	served := make([]camera.Session, len(inferences))
	t.Cleanup(func() { endSessions(t, client, served) })
	var asking sync.WaitGroup
	begin := time.Now()
	for i, name := range inferences {
		asking.Go(func() {
			s, err := client.Create(t.Context(), camera.Request{Inference: name, TTL: "10m"}, time.Minute)
			served[i] = s
			if err != nil || s.State != "serving" || s.Address == "" || s.Reason == "" || s.Moves != 0 {
				t.Errorf("%s: %+v, %v", name, s, err)
				return
			}
			answers(t, s)
		})
	}
	asking.Wait()
	if t.Failed() {
		shared.Explain()
		t.FailNow()
	}
	var kinds []string
	for _, s := range served {
		if slices.Contains(kinds, s.Kind) {
			t.Errorf("two inferences run on a %s", s.Kind)
		}
		kinds = append(kinds, s.Kind)
		if node := nodeOf[accel.Kind(s.Kind)]; node != "" && s.Node != node {
			t.Errorf("%s runs on a %s of node %s", s.Inference, s.Kind, s.Node)
		}
	}
	t.Logf("four addresses after %s: %v", since(begin), kinds)
	for _, s := range served {
		ownReadiness(t, s)
	}
	find(t, "camera", served)
	for i, s := range served {
		if s.Kind == "CPU" {
			continue
		}
		served[i] = becomes(t, client, s.ID, func(s camera.Session) error {
			view, err := shared.Inventory(t.Context())
			if err != nil {
				return err
			}
			if d, ok := view.Device(s.Node, accel.Kind(s.Kind)); !ok || s.Device == nil || *s.Device != d.ID {
				return fmt.Errorf("its device is %v, node %s has %s", s.Device, s.Node, d.ID)
			}
			return nil
		})
	}
	serversGo(t, client, served)
}

// answers checks that the server at a session's address says itself that it is
// ready.
func answers(t *testing.T, s camera.Session) {
	t.Helper()
	if err := answer(t.Context(), s); err != nil {
		t.Error(err)
	}
}

// answer returns nil for a server at a session's address that is ready.
func answer(ctx context.Context, s camera.Session) error {
	body, err := shared.Get(ctx, "http://"+s.Address+"/v2/health/ready")
	if err == nil && body != `{"ready":true}` {
		err = fmt.Errorf("the answer is %q", body)
	}
	if err != nil {
		return fmt.Errorf("%s has an address, and there: %w", s.Inference, err)
	}
	return nil
}

// ownReadiness checks by a server's log that its container ran for a while
// before it was ready, and that its pod was ready only then.
func ownReadiness(t *testing.T, s camera.Session) {
	t.Helper()
	pod, err := shared.Client().CoreV1().Pods(sessions).Get(t.Context(), s.Pod, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	log, err := shared.Kubectl(t.Context(), "-n", sessions, "logs", "--timestamps", s.Pod)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]time.Time{}
	for line := range strings.Lines(log) {
		stamp, rest, _ := strings.Cut(line, " ")
		for _, mark := range []string{"Serving", "Device used: CPU", "Ready after"} {
			if strings.HasPrefix(rest, "[ INFO ] "+mark) {
				if at[mark], err = time.Parse(time.RFC3339Nano, stamp); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if at["Serving"].IsZero() || !at["Serving"].Before(at["Device used: CPU"]) || !at["Device used: CPU"].Before(at["Ready after"]) {
		t.Errorf("%s: its log is\n%s", s.Inference, log)
	}
	for _, c := range pod.Status.Conditions {
		// The API server has whole seconds.
		if c.Type == "Ready" && c.LastTransitionTime.Time.Before(at["Ready after"].Truncate(time.Second)) {
			t.Errorf("%s: its pod was ready at %s, the server at %s", s.Inference, c.LastTransitionTime, at["Ready after"])
		}
	}
	if s.Kind != "CPU" && !strings.Contains(log, "Instead of ") {
		t.Errorf("%s on %s does not say that it infers on the CPU:\n%s", s.Inference, s.Kind, log)
	}
}

// becomes waits until a session satisfies want, and returns it.
func becomes(t *testing.T, c *camera.Client, id string, want func(camera.Session) error) (s camera.Session) {
	t.Helper()
	eventually(t, "session "+id, func(ctx context.Context) (err error) {
		if s, err = c.Get(ctx, id); err == nil {
			err = want(s)
		}
		if err != nil {
			return fmt.Errorf("%+v: %w", s, err)
		}
		return nil
	})
	return s
}
