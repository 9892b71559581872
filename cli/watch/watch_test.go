package watch

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// step is what one look finds.
type step struct {
	body, note, err string
}

// play runs a loop over steps, a second each, and returns what was written.
func play(t *testing.T, steps []step, size func() (int, int)) (out, notes string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var shown, said bytes.Buffer
		i := 0
		err = Loop{
			Out: &shown, Notes: &said, Every: time.Second, Between: "\n", Size: size,
			Look: func(context.Context) (Frame, error) {
				if i == len(steps) {
					cancel()
					return Frame{}, context.Canceled
				}
				s := steps[i]
				i++
				if s.err != "" {
					return Frame{}, errors.New(s.err)
				}
				return Frame{[]byte(s.body), s.note}, nil
			},
		}.Run(ctx)
		out, notes = shown.String(), said.String()
	})
	return out, notes, err
}

// TestAppended: what changed stands below what was; ages and loads alone are no change. An
// error is reported once, until there is something to show again.
func TestAppended(t *testing.T) {
	for name, tt := range map[string]struct {
		steps      []step
		out, notes string
	}{
		"nothing changes": {[]step{{body: "a\n"}, {body: "a\n"}}, "a\n", ""},
		"a change":        {[]step{{body: "a\n"}, {body: "b\n"}}, "a\n\nb\n", ""},
		"ages":            {[]step{{body: "GPU  9s   load 5%\n"}, {body: "GPU  10s  load 60%\n"}, {body: "GPU  1m2s  load 60%\n"}}, "GPU  9s   load 5%\n", ""},
		"an outage": {
			[]step{{body: "a\n"}, {err: "gone"}, {err: "refused"}, {body: "a\n"}, {err: "gone"}, {body: "b\n"}},
			"a\n\na\n\nb\n", "gone; trying again every 1s\ngone; trying again every 1s\n",
		},
		"notes": {
			[]step{{body: "a\n", note: "pods are left out"}, {body: "a\n", note: "pods are left out"}, {body: "a\n"}, {body: "a\n", note: "nodes are"}},
			"a\n", "pods are left out\nnodes are\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, notes, err := play(t, tt.steps, nil)
			if err != nil || out != tt.out || notes != tt.notes {
				t.Errorf("%v; out %q, want %q; notes %q, want %q", err, out, tt.out, notes, tt.notes)
			}
		})
	}
}

// TestFirstError: what cannot be shown at all ends the command.
func TestFirstError(t *testing.T) {
	if out, notes, err := play(t, []step{{err: "forbidden"}, {body: "a"}}, nil); err == nil || err.Error() != "forbidden" || out+notes != "" {
		t.Errorf("%v, %q", err, out+notes)
	}
}

// TestInPlace: on a terminal a frame replaces the one before, and an outage stands below
// it until it ends.
func TestInPlace(t *testing.T) {
	out, notes, err := play(t, []step{{body: "a\n"}, {err: "gone"}, {body: "b\n", note: "n"}}, func() (int, int) { return 40, 3 })
	frames := strings.Split(out, home)
	want := []string{
		"\n\n\n",
		"a" + eraseLine + "\r\n" + eraseRest,
		"a" + eraseLine + "\r\ngone; trying again every 1s" + eraseLine + "\r\n" + eraseRest,
		"b" + eraseLine + "\r\nn" + eraseLine + "\r\n" + eraseRest,
	}
	if err != nil || notes != "" || strings.Join(frames, "|") != strings.Join(want, "|") {
		t.Errorf("%v, %q: %q, want %q", err, notes, frames, want)
	}
}

// TestScreen: a frame never scrolls the terminal.
func TestScreen(t *testing.T) {
	for name, tt := range map[string]struct {
		body, trouble  string
		columns, lines int
		want           []string
	}{
		"fits":       {"a\nb\n", "", 10, 3, []string{"a", "b"}},
		"too long":   {"a\nb\nc\nd\n", "", 60, 4, []string{"a", "b", "and 2 lines more: the terminal is too small"}},
		"too wide":   {"abcdefgh\n", "", 5, 9, []string{"abcd…"}},
		"trouble":    {"a\nb\nc\n", "abcdefgh", 5, 5, []string{"a", "and …", "abcde", "fgh"}},
		"one line":   {"a\nb\n", "", 80, 1, []string{"and 2 lines more: the terminal is too small"}},
		"wide runes": {"ééééé\n", "", 5, 9, []string{"ééééé"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(screen(Frame{Body: []byte(tt.body)}, tt.trouble, tt.columns, tt.lines))
			want := home + strings.Join(tt.want, eraseLine+"\r\n") + eraseLine + "\r\n" + eraseRest
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// TestSettle: what changes by itself is no change, and what matters is one.
func TestSettle(t *testing.T) {
	for name, tt := range map[string]struct {
		a, b string
		same bool
	}{
		"age":         {"age          9s\n", "age          2m30s\n", true},
		"asked":       {"asked 0s ago about 3 nodes", "asked 12s ago about 3 nodes", true},
		"free cores":  {"5.75 free, load 28%", "6 free, load 25%", true},
		"JSON":        {`"ageSeconds": 1.5, "load": 0.25`, `"ageSeconds": 2, "load": 0.3`, true},
		"YAML":        {"- ageSeconds: 1\n", "- ageSeconds: 2\n", true},
		"state":       {"GPU 0 idle", "GPU 0 busy", false},
		"a count":     {"NPU  2  1  1", "NPU  2  2  0", false},
		"a node more": {"asked 0s ago about 3 nodes", "asked 0s ago about 4 nodes", false},
		"verdict":     {`"verdict": "0/6 nodes"`, `"verdict": "0/7 nodes"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if same := bytes.Equal(settle([]byte(tt.a)), settle([]byte(tt.b))); same != tt.same {
				t.Errorf("%q and %q: same %v", settle([]byte(tt.a)), settle([]byte(tt.b)), same)
			}
		})
	}
}
