//go:build faults

package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// waves at most, and how many kills one has: more, and nothing would come to an end
// in it.
const (
	mostWaves    = 40
	killsOfAWave = 24
)

// killedEverywhere kills a program at every sort of call, before and after the call
// is carried out, until two waves of load in a row have come to no new one.
func (x *site) killedEverywhere(t *testing.T, v *victim, load func(*testing.T, wave)) {
	t.Helper()
	mend := func() {
		v.killedWhileStarting(t)
		v.points.Allow(0)
		v.alive(t)
	}
	for quiet := 0; quiet < 2; {
		before, points := v.points.Kills(), v.points.Points()
		v.points.Allow(killsOfAWave)
		v.kill(x.Process(v.name)) // what only watches makes its calls when it starts
		load(t, wave{mended: mend})
		mend()
		t.Logf("wave %d: killed %d times, %d sorts of calls so far", x.waves, v.points.Kills()-before, v.points.Sorts())
		if quiet++; v.points.Points() > points {
			quiet = 0
		}
		if x.waves >= mostWaves {
			t.Errorf("after %d waves it is not over: %v", x.waves, v.points.Open())
			return
		}
	}
	if v.points.Sorts() == 0 || v.points.Points() < v.points.Sorts() {
		t.Errorf("the %s was killed %d times at %d sorts of calls: it proves too little", v.name, v.points.Kills(), v.points.Sorts())
	}
	for _, open := range v.points.Open() {
		t.Logf("never killed at: %s", open)
	}
}

// killedWhileStarting waits until the program was killed at every sort of call that it
// makes when it starts, or comes to no further one: some it makes once for all.
func (v *victim) killedWhileStarting(t *testing.T) {
	t.Helper()
	kills, since := v.points.Kills(), time.Now()
	eventually(t, func(context.Context) error {
		if now := v.points.Kills(); now != kills {
			kills, since = now, time.Now()
		}
		for _, open := range v.points.Open() {
			if strings.HasPrefix(open, starting) && v.points.Left() > 0 && time.Since(since) < 8*time.Second {
				return fmt.Errorf("the %s was not killed at %s", v.name, open)
			}
		}
		return nil
	})
}

func TestWebhookKilled(t *testing.T) {
	x := start(t, "webhook")
	v := x.victim(t, "webhook", x.URL("webhook status", "/readyz"), func(context.Context) error { return x.StartReplica("webhook") })
	x.proxies["webhook"].Set(v.dies)
	x.killedEverywhere(t, v, x.wave)
	x.released(t)
	count(t, "webhook: killed %d times at calls, at %d of %d points, %d restarts, %d pods", v.points.Kills(), v.points.Points(), 2*v.points.Sorts(), v.restarts.Load(), x.pods)
}

func TestExtenderKilled(t *testing.T) {
	x := start(t, "extender")
	v := x.victim(t, "extender", x.URL("extender status", "/readyz"), func(ctx context.Context) error { return x.StartExtender(ctx) })
	x.proxies["extender"].Set(v.dies)
	x.killedEverywhere(t, v, x.wave)
	x.released(t)
	count(t, "extender: killed %d times at calls, at %d of %d points, %d restarts, %d pods", v.points.Kills(), v.points.Points(), 2*v.points.Sorts(), v.restarts.Load(), x.pods)
}

// TestStockKilled kills kube-scheduler and the controllers while pods are created.
func TestStockKilled(t *testing.T) {
	x := start(t)
	for name, kill := range map[string]func(context.Context) error{"kube-scheduler": x.KillScheduler, "kube-controller-manager": x.KillControllerManager} {
		x.under(t, fault{name: name + " killed", breaks: func(ctx context.Context) (string, error) { return "once", kill(ctx) }}, x.wave)
	}
}
