//go:build long

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// TestLateMovedUp: servers that are bound late are moved as others are, by the claim of the
// next pod.
func TestLateMovedUp(t *testing.T) {
	var out bytes.Buffer
	s, err := launch(t.Context(), stack.Config{
		Out: &out, Machines: machine.Paper(), Late: true,
		Webhook: []string{"--binding=auto", "--upgrade-uptime=1s", "--upgrade-idle=1s", "--upgrade-ready=10s", "--upgrade-limit=100"},
	})
	if err != nil {
		t.Fatalf("start the cluster: %v\n%s", err, out.String())
	}
	t.Cleanup(func() { noRaces(t, s); s.Stop() })
	lateProfile(t, s, "2s")
	seesDevices(t, s)
	late := func(manifest string) string {
		return strings.NewReplacer("heteroaccel.io/inference: face-recognition", "heteroaccel.io/inference: late", "image: mine", "image: late:mine").Replace(manifest)
	}
	t.Run("rollouts", func(t *testing.T) {
		manifest := late(serverManifest(""))
		pod := serve(t, s, manifest, "GPU")
		defer deleteOwner(t, s, manifest)
		available(t, s)
		for i := range 5 {
			kubectl(t, s, "set", "env", "deployment/waits", fmt.Sprintf("ROUND=%d", i))
			eventually(t, func(ctx context.Context) error {
				pods, err := waits(ctx, s)
				if err == nil && (len(pods) != 1 || kind(&pods[0]) != "GPU" || pods[0].UID == pod.UID || !serves(&pods[0])) {
					err = fmt.Errorf("rollout %d: there are %d pods, such as %s on %s: %s", i, len(pods), pods[0].Name, kind(&pods[0]), reason(&pods[0]))
				}
				if err != nil {
					return err
				}
				if err = nothingMarked(ctx, s); err == nil {
					pod = pods[0]
				}
				return err
			})
			if !strings.Contains(reason(&pod), "it replaces one that runs on NPU") {
				t.Errorf("rollout %d: its reason is %s", i, reason(&pod))
			}
			agreed(t, s, &pod)
		}
	})
	t.Run("asked, of a StatefulSet", func(t *testing.T) {
		mayEvict(t, s)
		gpu := bound(t, s, create(t, s, latePod("holds-gpu", "gpu")), "GPU", "late:gpu", "GPU")
		manifest := late(stateful(asksForUpgrade))
		serve(t, s, manifest, "NPU")
		defer deleteOwner(t, s, manifest)
		vacate(t, s, gpu)
		pod, _ := runsOn(t, s, "GPU")
		agreed(t, s, &pod)
		ownerTold(t, s, "StatefulSet", "waits", "MovedUp", "another pod serves there in its place")
	})
}
