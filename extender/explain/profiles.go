package explain

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/extender/bypass"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/servicetime"
)

// profileView is one inference, as JSON.
type profileView struct {
	Inference string        `json:"inference"`
	Variants  []variantView `json:"variants"`
	// Bypassed are those of its resources that a scheduler does not ask the
	// extender about.
	Bypassed []bypass.Report `json:"bypassed,omitempty"`
	omissions
}

// variantView is one inference on one kind, as JSON.
type variantView struct {
	Kind accel.Kind `json:"kind"`
	// Devices are the extended resources it takes; empty for the CPU.
	Devices map[string]int64 `json:"devices"`
	// DeviceClass is where pods that are bound late get their device, if they can be.
	DeviceClass string `json:"deviceClassName,omitempty"`
	// Device is the OpenVINO device name.
	Device string `json:"device"`
	Image  string `json:"image"`
	// HintSeconds is the profile's serviceTime, LearnedSeconds what was measured;
	// nil where there is none. Speed is the profile's speed relative to the other
	// variants. UsedSeconds is what decisions use, and UsedFrom its source:
	// learned, hint, speed or order.
	HintSeconds    *float64 `json:"hintSeconds,omitempty"`
	LearnedSeconds *float64 `json:"learnedSeconds,omitempty"`
	Speed          float64  `json:"speed,omitempty"`
	UsedSeconds    *float64 `json:"usedSeconds,omitempty"`
	UsedFrom       string   `json:"usedFrom"`
	// Runs is how many were measured, in Namespaces that count; the last one ended
	// at LastObserved.
	Runs         int64      `json:"runs"`
	Namespaces   int        `json:"namespaces"`
	LastObserved *time.Time `json:"lastObserved,omitempty"`
	// Servers are the pods that serve the inference on the kind; nil where none does and
	// none reported anything.
	Servers *serversView `json:"servers,omitempty"`

	hint, learned, used time.Duration
}

// serversView is what the servers of an inference are on one kind, as JSON.
type serversView struct {
	// Running is how many pods there are that run and do not end by themselves.
	Running int `json:"running"`
	// ServedSeconds is how long an inference takes on them as they report it, and Readings
	// how often they did. UsedSeconds is what decisions about servers use.
	ServedSeconds *float64 `json:"servedSeconds,omitempty"`
	Readings      int64    `json:"readings"`
	UsedSeconds   *float64 `json:"usedSeconds,omitempty"`
	UsedFrom      string   `json:"usedFrom"`
	// InferencesPerSecond is what they can do together; nil where nobody knows how long one
	// takes.
	InferencesPerSecond *float64 `json:"inferencesPerSecond,omitempty"`

	served, used time.Duration
}

// profilesView is what /profiles shows.
type profilesView struct {
	Profiles []*profileView `json:"profiles"`
	// Bypassed are the resources that a scheduler does not ask the extender
	// about.
	Bypassed []bypass.Report `json:"bypassed,omitempty"`
	// CRD is what is wrong with the CRD, "" for nothing.
	CRD string `json:"crd,omitempty"`
	omissions
}

func (s *Pages) profileList(_ *http.Request, who *viewer) (view, error) {
	if err := who.need(profileResource, ""); err != nil {
		return nil, err
	}
	v := &profilesView{Profiles: []*profileView{}, Bypassed: who.bypassed(s.Bypassed())}
	if wrong := s.Profiles.CRD(); wrong != nil {
		v.CRD = wrong.Error()
	}
	running := s.running()
	for _, p := range s.Profiles.All() {
		v.Profiles = append(v.Profiles, viewProfile(p, running))
	}
	return v, nil
}

func (s *Pages) profile(r *http.Request, who *viewer) (view, error) {
	if err := who.need(profileResource, ""); err != nil {
		return nil, err
	}
	name := param(r, "name")
	p, ok := s.Profiles.Get(name)
	if wrong := s.Profiles.CRD(); !ok && wrong != nil {
		return nil, missing(fmt.Sprintf("there is no InferenceProfile %q: %v", name, wrong))
	}
	if !ok {
		return nil, missing(fmt.Sprintf("there is no InferenceProfile %q: GET /profiles lists all", name))
	}
	v := viewProfile(p, s.running())
	for _, u := range who.bypassed(s.Bypassed()) {
		if slices.ContainsFunc(v.Variants, func(w variantView) bool { return w.Devices[u.Resource] > 0 }) {
			v.Bypassed = append(v.Bypassed, u)
		}
	}
	return v, nil
}

// serving is an inference on a kind.
type serving struct {
	inference string
	kind      accel.Kind
}

// running is how many servers run, by what they serve.
func (s *Pages) running() map[serving]int {
	out := map[serving]int{}
	for _, p := range s.Inventory.Managed() {
		if p.Run != nil && !p.Run.Ends && !p.Done && !p.Deleted && !p.Run.Started.IsZero() {
			out[serving{p.Managed.Inference, p.Managed.Kind}]++
		}
	}
	return out
}

func viewServers(p *profile.Profile, v *profile.Variant, running int) *serversView {
	readings := v.ServedBy()
	if running == 0 && readings.Runs() == 0 {
		return nil
	}
	w := &serversView{
		Running: running, Readings: readings.Runs(), UsedFrom: v.ServerBasis.String(),
		served: (readings.Time() / servicetime.ServedRuns).Round(time.Microsecond), used: p.ServerTime(v.Kind),
	}
	w.ServedSeconds, w.UsedSeconds = seconds(w.served), seconds(w.used)
	if w.used > 0 {
		w.InferencesPerSecond = new(float64(running) / w.used.Seconds())
	}
	return w
}

func (w *serversView) text() string {
	if w == nil {
		return "-"
	}
	out := fmt.Sprintf("%d", w.Running)
	if w.InferencesPerSecond != nil {
		out += fmt.Sprintf(", %.3g inferences/s together: one takes %s (%s)", *w.InferencesPerSecond, w.used, w.UsedFrom)
	}
	if w.Readings > 0 {
		out += fmt.Sprintf("; they report %s, in %d readings", w.served, w.Readings)
	}
	return out
}

func viewProfile(p *profile.Profile, running map[serving]int) *profileView {
	v := &profileView{Inference: p.Name, Variants: []variantView{}}
	for _, variant := range p.Variants {
		learned, used := variant.Learned.Time(), variant.Estimate
		w := variantView{
			Kind: variant.Kind, Devices: map[string]int64{}, DeviceClass: variant.Class, Device: variant.Device, Image: variant.Spec.Image,
			HintSeconds: seconds(variant.ServiceTime), LearnedSeconds: seconds(learned), UsedSeconds: seconds(used),
			Speed: variant.Speed, UsedFrom: variant.Basis.String(),
			Runs: variant.Learned.Runs(), Namespaces: variant.Learned.Namespaces(), LastObserved: known(variant.Learned.Last()),
			Servers: viewServers(p, &variant, running[serving{p.Name, variant.Kind}]),
			hint:    variant.ServiceTime, learned: learned, used: used,
		}
		for name, q := range variant.Devices {
			w.Devices[string(name)] = q.Value()
		}
		v.Variants = append(v.Variants, w)
	}
	return v
}

func seconds(d time.Duration) *float64 {
	if d <= 0 {
		return nil
	}
	s := d.Seconds()
	return &s
}

func timeText(d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return d.String()
}

// learnedText says what was learned, and from how many runs.
func (v variantView) learnedText() string {
	switch {
	case v.Runs == 0:
		return "-"
	case v.Runs == 1:
		return timeText(v.learned) + ", from 1 run"
	}
	return fmt.Sprintf("%s, from %d runs", timeText(v.learned), v.Runs)
}

// usedText says where the time in use comes from.
func (v variantView) usedText() string {
	switch v.UsedFrom {
	case servicetime.Learned.String():
		if v.used != v.learned {
			return fmt.Sprintf("which is as far from the hint as fewer than %d namespaces can move it: correct serviceTime if it is wrong", servicetime.Agreeing)
		}
		return "learned"
	case servicetime.Hinted.String():
		return "the hint"
	case servicetime.Speed.String():
		return fmt.Sprintf("by its speed of %v", v.Speed)
	}
	return "by its position in the profile"
}

// devices lists what a variant takes: "gpu.intel.com/i915", or "2 x/y".
func (v variantView) devices() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(v.Devices)) {
		if n := v.Devices[name]; n != 1 {
			name = fmt.Sprintf("%d %s", n, name)
		}
		parts = append(parts, name)
	}
	return cmp.Or(strings.Join(parts, ", "), string(corev1.ResourceCPU))
}

func (v *profilesView) text(p *page) {
	if len(v.Profiles) == 0 {
		p.line(cmp.Or(v.CRD, "there are no InferenceProfiles: apply one with kubectl"))
		return
	}
	var rows [][]string
	for _, profile := range v.Profiles {
		for _, w := range profile.Variants {
			rows = append(rows, []string{
				profile.Inference, string(w.Kind), w.devices(), timeText(w.hint), timeText(w.learned),
				strconv.FormatInt(w.Runs, 10), fmt.Sprintf("%s (%s)", timeText(w.used), w.UsedFrom), w.Image,
			})
		}
	}
	p.table([]string{"INFERENCE", "KIND", "DEVICES", "HINT", "LEARNED", "RUNS", "IN USE", "IMAGE"}, rows)
	p.bypassed(v.Bypassed)
}

func (v *profileView) text(p *page) {
	p.field(0, "inference", v.Inference)
	for _, w := range v.Variants {
		p.line("")
		p.line(clean(string(w.Kind)))
		p.field(2, "image", w.Image)
		p.field(2, "devices", w.devices())
		if w.DeviceClass != "" {
			p.field(2, "class", w.DeviceClass+", when bound late")
		}
		p.field(2, "device flag", w.Device)
		p.field(2, "hint", timeText(w.hint))
		p.field(2, "learned", w.learnedText())
		p.field(2, "in use", timeText(w.used)+", "+w.usedText())
		p.field(2, "servers", w.Servers.text())
	}
	p.bypassed(v.Bypassed)
}
