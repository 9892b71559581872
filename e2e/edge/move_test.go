//go:build cluster

package edge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	camera "heteroaccel.io/connector/camera/client"
)

// serversGo has one server's pod deleted, one's process hang, and one's end: the
// first two sessions move, the third finds its server again where it was.
func serversGo(t *testing.T, client *camera.Client, served []camera.Session) {
	t.Helper()
	begin := time.Now()
	if err := shared.Run(t.Context(), "-n", sessions, "delete", "pod", served[0].Pod, "--wait=false"); err != nil {
		t.Fatal(err)
	}
	signal(t, served[1], "STOP")
	signal(t, served[2], "KILL")
	becomes(t, client, served[1].ID, func(s camera.Session) error {
		if s.Address != "" && s.Moves == 0 {
			return errors.New("it has the address of a server that hangs")
		}
		return nil
	})
	after := slices.Clone(served)
	for i := range 2 {
		after[i] = becomes(t, client, served[i].ID, func(s camera.Session) error {
			if s.State != "serving" || s.Moves != 1 || s.Address == "" || s.Address == served[i].Address || s.Pod == served[i].Pod {
				return errors.New("it has not moved")
			}
			answers(t, s)
			return nil
		})
		t.Logf("%s moved from %s to %s after %s", after[i].Inference, served[i].Kind, after[i].Kind, since(begin))
	}
	after[2] = becomes(t, client, served[2].ID, func(s camera.Session) error {
		pod, err := shared.Client().CoreV1().Pods(sessions).Get(t.Context(), s.Pod, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if s.State != "serving" || pod.Status.ContainerStatuses[0].RestartCount != 1 {
			return errors.New("its server has not started again")
		}
		return nil
	})
	if after[2].Address != served[2].Address || after[2].Moves != 0 {
		t.Errorf("a server that started again in seconds has another address: %+v, before %+v", after[2], served[2])
	}
	find(t, "camera-again", after)
}

// signal sends a signal to the process of a session's server.
func signal(t *testing.T, s camera.Session, name string) {
	t.Helper()
	node := shared.Nodes[s.Node]
	// As the node sees them, with the ids that they have there.
	procs, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/proc/[0-9]*", node.PID()))
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, dir := range procs {
		command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.Contains(string(command), "\x00/inference\x00-m\x00"+s.Inference+"\x00") {
			continue
		}
		if out, err := node.Command(t.Context(), "kill", "-"+name, filepath.Base(dir)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		sent++
	}
	if sent != 1 {
		t.Fatalf("node %s has %d processes of %s, want 1", s.Node, sent, s.Inference)
	}
}

// endSessions ends what a client has, and has the servers gone at once instead
// of kept for the next.
func endSessions(t *testing.T, client *camera.Client, all []camera.Session) {
	ctx := context.Background()
	for _, s := range all {
		if s.ID == "" {
			continue // it was not made
		}
		if err := client.End(ctx, s.ID); err != nil {
			t.Error(err)
		}
	}
	if err := shared.Run(ctx, "-n", sessions, "delete", "pods", "--all"); err != nil {
		t.Error(err)
	}
	if err := shared.Wait(ctx, settled); err != nil {
		t.Errorf("not everything is as before: %v", err)
	}
}
