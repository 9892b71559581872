package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/browser"
	"heteroaccel.io/e2e/stack"
)

// watcher is somebody who looks at the live page.
type watcher struct {
	*browser.Page
	axe *browser.Axe
	t   *testing.T
}

// reads waits until an element of the page has all of some texts, and none of others,
// which begin with a '!'.
func (w *watcher) reads(selector string, texts ...string) {
	w.t.Helper()
	eventually(w.t, func(context.Context) error {
		got, err := w.Text(selector)
		if err != nil {
			return err
		}
		for _, want := range texts {
			absent, not := strings.CutPrefix(want, "!")
			if not && strings.Contains(got, absent) || !not && !strings.Contains(got, want) {
				return fmt.Errorf("%s: want %q in:\n%s", selector, want, got)
			}
		}
		return nil
	})
}

func (w *watcher) click(selector, text string) {
	w.t.Helper()
	eventually(w.t, func(context.Context) error { return w.Click(selector, text) })
}

// picture keeps a picture as an artefact of the test, and has axe look for what keeps
// people from using the page, as somebody looks at it.
func (w *watcher) picture(name string, l browser.Look) {
	w.t.Helper()
	if err := w.Resize(l); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Picture(filepath.Join(w.t.ArtifactDir(), name+".png")); err != nil {
		w.t.Fatal(err)
	}
	violations, err := w.axe.Violations(w.Page)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range violations {
		w.t.Errorf("%s: %s", name, v)
	}
	if wide, err := browser.Evaluate[bool](w.Page, "document.documentElement.scrollWidth > innerWidth"); err != nil || wide {
		w.t.Errorf("%s: the page is wider than the window: %v", name, err)
	}
}

// TestUI looks at the live page in a real browser, while what the demo shows happens.
func TestUI(t *testing.T) {
	s := borrow(t, paper)
	axe, err := browser.InstallAxe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	page, err := browser.Open(t.Context(), s.URL("extender", "/ui"))
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	w := &watcher{page, axe, t}
	w.reads("#connection", "live")
	w.reads("#kinds", "GPU 1 of 1 idle", "NPU 1 of 1 idle", "FPGA 1 of 1 idle", "nobody waits")
	w.picture("idle", browser.Look{Width: 1280, Height: 900})

	placed := w.placements(s)
	gone := w.waits(s, map[string]*corev1.Pod{"GPU": placed[0], "NPU": placed[1]})
	w.unhealthy(s)
	w.denied(s)
	w.reads("#charts", "In use", "now")
	w.reads("#times", "face-recognition", "GPU")
	w.find()
	for name, l := range map[string]browser.Look{
		"phone": {Width: 360, Height: 740}, "phone-dark": {Width: 360, Height: 740, Dark: true},
		"desk": {Width: 1280, Height: 900}, "desk-dark": {Width: 1280, Height: 900, Dark: true}, "wall": {Width: 2560, Height: 1440},
	} {
		w.picture(name, l)
	}
	w.restarted(s)
	if errs := w.Errors(); len(errs) > 0 {
		t.Errorf("the page wrote to its console: %s", strings.Join(errs, "\n"))
	}
	for _, p := range placed {
		if p != gone {
			vacate(t, s, p)
		}
	}
	w.reads("#nodes", "!default/")
}

// placements: the four pods of the demo are seen on the device that each has.
func (w *watcher) placements(s *stack.Stack) (placed []*corev1.Pod) {
	w.t.Helper()
	for _, kind := range []string{"GPU", "NPU", "FPGA", "CPU"} {
		p := create(w.t, s, anyPod("sees-"+strings.ToLower(kind), "face-recognition", "any"))
		wantKind(w.t, p, kind)
		placed = append(placed, running(w.t, s, p))
		w.reads("#nodes", "default/"+p.Name)
		w.reads("#decisions", "default/"+p.Name)
	}
	w.reads("#nodes", "GPU busy", "NPU busy", "FPGA busy")
	w.reads("#kinds", "GPU 0 of 1 idle")
	w.click("#nodes button", "GPU busy")
	w.reads("#detail", "of g", "busy", "default/sees-gpu", "Who had it in the last hour")
	w.leaves()
	return placed
}

// leaves closes what is open by the keyboard.
func (w *watcher) leaves() {
	w.t.Helper()
	if err := w.Press(kb.Escape); err != nil {
		w.t.Fatal(err)
	}
	eventually(w.t, func(context.Context) error {
		open, err := browser.Evaluate[bool](w.Page, `document.getElementById("detail").open`)
		if err == nil && open {
			err = errors.New("it is still open")
		}
		return err
	})
}

// waits: a pod that waits is seen with its reason, what it waits for and what kube-scheduler
// says, and then that it was recreated for the other kind, which became idle as its holder
// was deleted, which is returned. For which of both it waits at first depends on what was
// learned of them.
func (w *watcher) waits(s *stack.Stack, holders map[string]*corev1.Pod) (gone *corev1.Pod) {
	w.t.Helper()
	p := create(w.t, s, anyPod("sees-waits", "face-recognition", "gpu,npu"))
	from, to, resource := "GPU", "NPU", gpuResource
	if kind(p) == "NPU" {
		from, to, resource = "NPU", "GPU", stickResource
	}
	w.reads("#queue", "default/sees-waits", "1.", "Insufficient "+resource)
	w.reads("#kinds", "1 waits")
	w.click("#queue button", "default/sees-waits")
	w.reads("#detail", "Pod default/sees-waits", "waits for "+from, "kube-scheduler", "Insufficient", "It would run if", "held by default/"+holders[from].Name)
	w.picture("waits", browser.Look{Width: 1280, Height: 900})
	w.leaves()

	gone = holders[to]
	vacate(w.t, s, gone)
	w.reads("#decisions", "recreated", from+" to "+to, fmt.Sprintf("waited for %s, and %s is idle", from, to))
	w.reads("#nodes", "default/sees-waits")
	w.reads("#queue-none", "Nobody")
	vacate(w.t, s, get(w.t, s, p))
	return gone
}

// unhealthy: a device that breaks is seen, and that it is in order again.
func (w *watcher) unhealthy(s *stack.Stack) {
	w.t.Helper()
	m := s.Machine("n")
	if err := m.SetHealthy(m.Devices[0].Name, false); err != nil {
		w.t.Fatal(err)
	}
	w.reads("#nodes", "NPU unhealthy")
	w.reads("#kinds", "not usable")
	if err := m.SetHealthy(m.Devices[0].Name, true); err != nil {
		w.t.Fatal(err)
	}
	w.reads("#nodes", "!unhealthy")
}

// denied: a pod that was not admitted, and so does not exist, is seen with the sentence
// that says why.
func (w *watcher) denied(s *stack.Stack) {
	w.t.Helper()
	if _, err := s.KubectlInput(w.t.Context(), manifest(w.t, anyPod("sees-typo", "face-recogniton", "any")), "create", "-f", "-"); err == nil {
		w.t.Fatal("a pod of an unknown inference was admitted")
	}
	w.reads("#decisions", "denied", "default/sees-typo", "did you mean face-recognition?")
}

// find: a word finds the nodes that have to do with it.
func (w *watcher) find() {
	w.t.Helper()
	search := func(word string) {
		_, err := browser.Evaluate[bool](w.Page, fmt.Sprintf(`(() => { const f = document.getElementById("find"); f.value = %q; f.dispatchEvent(new Event("input")); return true; })()`, word))
		if err != nil {
			w.t.Fatal(err)
		}
	}
	search("fpga busy")
	w.reads("#nodes-count", "1 of 3")
	w.reads("#nodes", "default/sees-fpga", "!default/sees-gpu")
	search("no such thing")
	w.reads("#nodes-none", "None is like that.")
	search("")
	w.reads("#nodes-count", "3")
}

// restarted: while the extender is away the page says that what it shows is old, and then
// it goes on by itself.
func (w *watcher) restarted(s *stack.Stack) {
	w.t.Helper()
	s.Process("extender").Stop()
	w.reads("#connection", "not connected", "what is shown is old")
	w.reads("#nodes", "default/sees-fpga")
	if err := s.StartExtender(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.reads("#connection", "live", "!not connected")
	w.reads("#nodes", "default/sees-fpga")
	w.reads("#decisions", "default/sees-typo")
}
