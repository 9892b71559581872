package servicetime_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/servicetime"
)

const second = time.Second

// measured has the runs of namespaces a, b, c …
func measured(namespaces ...servicetime.Estimate) servicetime.Measured {
	var m servicetime.Measured
	for i, e := range namespaces {
		m = m.Add(string(rune('a'+i)), e)
	}
	return m
}

// each is one namespace with n runs of each of these durations.
func each(n int, took ...time.Duration) []servicetime.Estimate {
	var out []servicetime.Estimate
	for _, d := range took {
		out = append(out, of(times(n, d)...))
	}
	return out
}

// TestPoisoned: whoever can run pods in one namespace moves what is expected for
// all by as much as is stated, whatever they run and however often.
func TestPoisoned(t *testing.T) {
	const hint, instant, endless = 2 * second, servicetime.Shortest, servicetime.Longest
	tests := map[string]struct {
		hint time.Duration
		m    servicetime.Measured
		want time.Duration
	}{
		"one of four, too short":               {hint, measured(each(32, 2*second, 3*second, 4*second, instant)...), 2 * second},
		"one of four, too long":                {hint, measured(each(32, 2*second, 3*second, 4*second, endless)...), 3 * second},
		"one of three":                         {0, measured(each(32, 2*second, 3*second, endless)...), 3 * second},
		"without a hint, one of two too long":  {0, measured(each(32, 2*second, endless)...), 2 * second},
		"without a hint, one of two too short": {0, measured(each(32, 2*second, instant)...), instant},
		"alone, too short":                     {hint, measured(each(32, instant)...), hint / 4},
		"alone, too long":                      {hint, measured(each(32, endless)...), 4 * hint},
		"two of two":                           {hint, measured(each(32, endless, endless)...), 4 * hint},
		"two of three":                         {hint, measured(each(32, 2*second, endless, endless)...), 4 * hint},
		"two of three, too short":              {hint, measured(each(32, 2*second, instant, instant)...), hint / 4},
		"beside few runs of others":            {hint, measured(append(each(32, endless), each(1, 2*second, 3*second)...)...), 3 * second},
		"few runs, beside many":                {0, measured(append(each(32, 2*second), each(1, instant)...)...), 2 * second},
		"one with few runs beside many":        {0, measured(append(each(32, 2*second, 3*second, 4*second), each(2, instant, instant, instant)...)...), 3 * second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, basis := tt.m.Expect(tt.hint); got != tt.want || basis != servicetime.Learned {
				t.Errorf("%s is expected (%v), want %s", got, basis, tt.want)
			}
		})
	}
}

// TestAgreeing: a wrong hint is overcome by three namespaces, and within its bounds
// by one.
func TestAgreeing(t *testing.T) {
	const hint = second
	tests := map[string]struct {
		m    servicetime.Measured
		want time.Duration
	}{
		"nothing":                    {nil, hint},
		"too few runs":               {measured(each(2, 3*second)...), hint},
		"one namespace":              {measured(each(3, 3*second)...), 3 * second},
		"one namespace, shorter":     {measured(each(3, second/3)...), 333 * time.Millisecond},
		"at the bound":               {measured(each(3, 4*second)...), 4 * second},
		"beyond it":                  {measured(each(3, 9*second)...), 4 * second},
		"two namespaces":             {measured(each(3, 9*second, 10*second)...), 4 * second},
		"three":                      {measured(each(3, 9*second, 10*second, 11*second)...), 10 * second},
		"three, one of them not":     {measured(each(3, 9*second, 10*second, 3*second)...), 4 * second},
		"three, much shorter":        {measured(each(3, second/10, second/20, second/50)...), second / 20},
		"a single run of each":       {measured(each(1, 9*second, 10*second, 11*second)...), 10 * second},
		"a single run of two":        {measured(each(1, 9*second, 10*second)...), hint},
		"three of five":              {measured(each(3, second, second, 9*second, 10*second, 11*second)...), 9 * second},
		"three of six, the lower":    {measured(each(3, second, second, second, 9*second, 10*second, 11*second)...), second},
		"shorter than can be timed":  {measured(each(3, 0)...), second / 4},
		"no namespace has any run":   {servicetime.Measured{{Namespace: "a", Estimate: servicetime.Estimate{Runs: 9}}}, hint},
		"a namespace beside without": {servicetime.Measured{{Namespace: "a", Estimate: servicetime.Estimate{Runs: 9}}, {Namespace: "b", Estimate: of(times(3, 2*second)...)}}, 2 * second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, _ := tt.m.Expect(hint); got != tt.want {
				t.Errorf("%s is expected, want %s", got, tt.want)
			}
		})
	}
	for _, hint := range []time.Duration{1, servicetime.Longest, math.MaxInt64} {
		if got, _ := measured(each(3, second)...).Expect(hint); got <= 0 {
			t.Errorf("with a hint of %s %s is expected", hint, got)
		}
	}
}

// TestOneNamespace: alone and without a hint, or within its bounds, a namespace
// learns as if there were no others.
func TestOneNamespace(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		var m servicetime.Measured
		var e servicetime.Estimate
		hint := []time.Duration{0, 3 * second}[random.IntN(2)]
		for n := range random.IntN(40) {
			took := second + time.Duration(random.Int64N(int64(10*second)))
			at := epoch.Add(time.Duration(n) * time.Hour)
			e, m = e.Observe(took, at), m.Add("a", servicetime.Estimate{}.Observe(took, at))
		}
		want, why := servicetime.Expect(hint, e)
		if got, basis := m.Expect(hint); got != want || basis != why {
			t.Fatalf("hint %s, %v: %s is expected (%v), want %s (%v)", hint, e.Recent, got, basis, want, why)
		}
		now := e.Last.Add(time.Minute)
		if diff := cmp.Diff(e.Timed(now), m.Timed(now)); len(m) > 0 && diff != "" {
			t.Fatalf("timed (-want +got):\n%s", diff)
		}
	}
}

// TestNamespacesAreBounded: those in use are kept, and give way to others only
// once they are not.
func TestNamespacesAreBounded(t *testing.T) {
	run := func(at time.Duration) servicetime.Estimate {
		return servicetime.Estimate{}.Observe(second, epoch.Add(at))
	}
	var m servicetime.Measured
	for i := range servicetime.MaxNamespaces {
		m = m.Add(fmt.Sprint("early-", i), run(time.Duration(i)*time.Minute))
	}
	names := func(m servicetime.Measured) (names []string) {
		for _, n := range m.Sort() {
			names = append(names, n.Namespace)
		}
		return names
	}
	early := names(m)
	for i := range 1000 {
		m = m.Add(fmt.Sprint("late-", i), run(time.Hour))
	}
	if diff := cmp.Diff(early, names(m)); diff != "" {
		t.Errorf("after others came in numbers (-want +got):\n%s", diff)
	}
	// early-0 has run nothing for more than six hours, early-1 has just so.
	m = m.Add("late", run(servicetime.StaleAfter+time.Minute))
	m = m.Add("later", run(servicetime.StaleAfter+time.Minute))
	want := append(slices.Clone(early[1:]), "late")
	if diff := cmp.Diff(want, names(m)); diff != "" {
		t.Errorf("after one was stale (-want +got):\n%s", diff)
	}
	m = m.Add("late", run(servicetime.ForgetAfter+8*time.Hour))
	if diff := cmp.Diff([]string{"late"}, names(m)); diff != "" {
		t.Errorf("a week later (-want +got):\n%s", diff)
	}
	if got := m.Add("nothing", servicetime.Estimate{Last: epoch.Add(1000 * time.Hour)}); !slices.Equal(names(got), []string{"late"}) {
		t.Errorf("a namespace without runs: %v", got)
	}
}

// TestRename: a namespace that something else stands for now counts once.
func TestRename(t *testing.T) {
	run := func(took, at time.Duration) servicetime.Estimate {
		return servicetime.Estimate{}.Observe(took, epoch.Add(at))
	}
	both := func(took ...time.Duration) servicetime.Estimate {
		return servicetime.Estimate{Recent: took, Runs: int64(len(took)), Last: epoch.Add(2)}
	}
	for name, tt := range map[string]struct{ in, want servicetime.Measured }{
		"of nothing":     {nil, nil},
		"the other only": {servicetime.Measured{{"new", run(1, 1)}}, servicetime.Measured{{"new", run(1, 1)}}},
		"it only":        {servicetime.Measured{{"old", run(second, 1)}, {"b", run(second, 1)}}, servicetime.Measured{{"new", run(second, 1)}, {"b", run(second, 1)}}},
		"both":           {servicetime.Measured{{"old", run(second, 1)}, {"new", run(2*second, 2)}}, servicetime.Measured{{"new", both(second, 2*second)}}},
		"both, reversed": {servicetime.Measured{{"new", run(second, 1)}, {"old", run(2*second, 2)}}, servicetime.Measured{{"new", both(second, 2*second)}}},
	} {
		before := slices.Clone(tt.in)
		if diff := cmp.Diff(tt.want, tt.in.Rename("old", "new")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(before, tt.in); diff != "" {
			t.Errorf("%s: it was changed:\n%s", name, diff)
		}
	}
}

// TestEarlier: runs recorded without their namespace count until a namespace's
// own can be relied on.
func TestEarlier(t *testing.T) {
	m := servicetime.Measured{}.Add(servicetime.Earlier, of(times(32, 5*second)...))
	for n, want := range []time.Duration{5 * second, 5 * second, 5 * second, second, second} {
		if got := m.Time(); got != want {
			t.Errorf("after %d runs of a namespace %s is expected, want %s", n, got, want)
		}
		m = m.Add("a", servicetime.Estimate{}.Observe(second, epoch.Add(time.Minute)))
	}
	if m.Namespaces() != 1 {
		t.Errorf("%d namespaces count", m.Namespaces())
	}
}

// TestMeasuredTimed: what the trials go by cannot be spoilt by one namespace.
func TestMeasuredTimed(t *testing.T) {
	now := epoch.Add(time.Minute)
	got := measured(each(4, 3*second, 4*second, 0)...).Timed(now)
	want := servicetime.Timed{Runs: 12, Recent: 12, Least: 3 * second, Age: time.Minute - 3*second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := measured(each(2, second, second)...).Timed(now); got.Recent >= servicetime.MinRuns {
		t.Errorf("runs that are not relied on count as %d", got.Recent)
	}
}
