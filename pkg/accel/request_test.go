package accel

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseRequest(t *testing.T) {
	type m = map[string]string
	many := make([]string, 33)
	for i := range many {
		many[i] = "k" + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	tests := map[string]struct {
		annotations m
		want        Request
		ours        bool
		err         string // what the message must hold, "" for none
	}{
		"nothing":                               {nil, Request{}, false, ""},
		"others' annotations":                   {m{"example.com/inference": "x"}, Request{}, false, ""},
		"any by default":                        {m{InferenceAnnotation: "faces"}, Request{Inference: "faces"}, true, ""},
		"any":                                   {m{InferenceAnnotation: "faces", AcceleratorAnnotation: " Any "}, Request{Inference: "faces"}, true, ""},
		"an order":                              {m{InferenceAnnotation: "faces", AcceleratorAnnotation: "gpu, NPU,Cpu"}, Request{Inference: "faces", Kinds: []Kind{"GPU", "NPU", "CPU"}}, true, ""},
		"a container":                           {m{InferenceAnnotation: " faces\n", ContainerAnnotation: " main "}, Request{Inference: "faces", Container: "main"}, true, ""},
		"bare":                                  {m{"inference": "faces", "accelerator": "gpu"}, Request{Inference: "faces", Kinds: []Kind{"GPU"}}, true, ""},
		"bare inference alone":                  {m{"inference": "faces"}, Request{}, false, ""},
		"bare accelerator alone":                {m{"accelerator": "gpu"}, Request{}, false, ""},
		"bare beside ours":                      {m{InferenceAnnotation: "faces", "inference": "x", "accelerator": "gpu"}, Request{Inference: "faces"}, true, ""},
		"bare and ours mixed":                   {m{"inference": "faces", AcceleratorAnnotation: "gpu"}, Request{}, true, "annotation heteroaccel.io/inference is missing"},
		"bare inference empty":                  {m{"inference": "", "accelerator": "gpu"}, Request{}, true, "annotation inference is missing or empty"},
		"a static pod's mirror":                 {m{InferenceAnnotation: "faces", AcceleratorAnnotation: "any", "kubernetes.io/config.mirror": "7a59cd04"}, Request{}, false, ""},
		"a mirror, malformed":                   {m{InferenceAnnotation: "A b", "kubernetes.io/config.mirror": ""}, Request{}, false, ""},
		"a static pod's other annotations":      {m{InferenceAnnotation: "faces", "kubernetes.io/config.source": "api"}, Request{Inference: "faces"}, true, ""},
		"no inference":                          {m{AcceleratorAnnotation: "any"}, Request{}, true, "set it to the name of an InferenceProfile"},
		"blank inference":                       {m{InferenceAnnotation: " \t"}, Request{}, true, "missing or empty"},
		"not a name":                            {m{InferenceAnnotation: "Face Recognition"}, Request{}, true, `"Face Recognition" is not the name`},
		"empty accelerator":                     {m{InferenceAnnotation: "faces", AcceleratorAnnotation: ""}, Request{}, true, `neither "any" nor kinds`},
		"an empty kind":                         {m{InferenceAnnotation: "faces", AcceleratorAnnotation: "gpu,,npu"}, Request{}, true, `"gpu,,npu" is neither`},
		"a comma too many":                      {m{InferenceAnnotation: "faces", AcceleratorAnnotation: "gpu,"}, Request{}, true, `"gpu," is neither`},
		"any among kinds":                       {m{InferenceAnnotation: "faces", AcceleratorAnnotation: "gpu,any"}, Request{}, true, "mixes"},
		"twice":                                 {m{InferenceAnnotation: "faces", AcceleratorAnnotation: "gpu,npu,GPU"}, Request{}, true, "names GPU twice"},
		"bare twice":                            {m{"inference": "faces", "accelerator": "gpu,gpu"}, Request{}, true, "annotation accelerator: "},
		"letters that only capitals make ASCII": {m{InferenceAnnotation: "faces", AcceleratorAnnotation: "nıpu"}, Request{}, true, "neither"},
		"not a text":                            {m{InferenceAnnotation: "faces", AcceleratorAnnotation: "gpu\xff\x00"}, Request{}, true, "neither"},
		"too many kinds":                        {m{InferenceAnnotation: "faces", AcceleratorAnnotation: strings.Join(many, ",")}, Request{}, true, "more than 32 kinds"},
		"huge inference":                        {m{InferenceAnnotation: strings.Repeat("ü", 1<<20)}, Request{}, true, "ü…"},
		"huge kind":                             {m{InferenceAnnotation: "faces", AcceleratorAnnotation: strings.Repeat("g", 1<<20)}, Request{}, true, "g…"},
		"not a container":                       {m{InferenceAnnotation: "faces", ContainerAnnotation: "a/b"}, Request{}, true, `"a/b" is not the name of a container`},
		"a deadline":                            {m{InferenceAnnotation: "faces", DeadlineAnnotation: " 1m30s\n"}, Request{Inference: "faces", Deadline: 90 * time.Second}, true, ""},
		"a fraction of a second":                {m{InferenceAnnotation: "faces", DeadlineAnnotation: "1.5s"}, Request{Inference: "faces", Deadline: 1500 * time.Millisecond}, true, ""},
		"no deadline":                           {m{InferenceAnnotation: "faces", DeadlineAnnotation: "None"}, Request{Inference: "faces", Deadline: NoDeadline}, true, ""},
		"a deadline beside bare keys":           {m{"inference": "faces", "accelerator": "any", DeadlineAnnotation: "5s"}, Request{Inference: "faces", Deadline: 5 * time.Second}, true, ""},
		"a deadline alone":                      {m{DeadlineAnnotation: "soon"}, Request{}, false, ""},
		"a number without a unit":               {m{InferenceAnnotation: "faces", DeadlineAnnotation: "5"}, Request{}, true, `annotation heteroaccel.io/deadline: "5" is not a duration above zero: write one such as "5s" or "1m30s", or "none"`},
		"an empty deadline":                     {m{InferenceAnnotation: "faces", DeadlineAnnotation: ""}, Request{}, true, `"" is not a duration`},
		"a deadline of 0":                       {m{InferenceAnnotation: "faces", DeadlineAnnotation: "0s"}, Request{}, true, `"0s" is not a duration above zero`},
		"a deadline before":                     {m{InferenceAnnotation: "faces", DeadlineAnnotation: "-1ns"}, Request{}, true, `"-1ns" is not`},
		"several deadlines":                     {m{InferenceAnnotation: "faces", DeadlineAnnotation: "5s, 10s"}, Request{}, true, `"5s, 10s" is not`},
		"a deadline in days":                    {m{InferenceAnnotation: "faces", DeadlineAnnotation: "1d"}, Request{}, true, `"1d" is not`},
		"a deadline past all time":              {m{InferenceAnnotation: "faces", DeadlineAnnotation: "2562048h"}, Request{}, true, `"2562048h" is not`},
		"huge deadline":                         {m{InferenceAnnotation: "faces", DeadlineAnnotation: strings.Repeat("9h", 1<<20)}, Request{}, true, "9h…"},
		"a deadline of control characters":      {m{InferenceAnnotation: "faces", DeadlineAnnotation: "5s\x00\xff"}, Request{}, true, `"5s\x00\xff" is not`},
		"empty container":                       {m{InferenceAnnotation: "faces", ContainerAnnotation: ""}, Request{}, true, `"" is not the name`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, ours, err := ParseRequest(tt.annotations)
			if diff := cmp.Diff(tt.want, got); diff != "" || ours != tt.ours {
				t.Errorf("ours %v, want %v; request (-want +got):\n%s", ours, tt.ours, diff)
			}
			switch {
			case tt.err == "" && err != nil:
				t.Errorf("error: %v", err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("error %v, want one with %q", err, tt.err)
			case err != nil && len(err.Error()) > 500:
				t.Errorf("a message of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestRank(t *testing.T) {
	some, whatever := Request{Kinds: []Kind{"GPU", "NPU"}}, Request{}
	if rank, ok := some.Rank("NPU"); rank != 1 || !ok {
		t.Errorf("NPU of GPU, NPU: %d, %v", rank, ok)
	}
	if _, ok := some.Rank("CPU"); ok || some.Any() {
		t.Error("a kind that was not named is allowed")
	}
	if rank, ok := whatever.Rank("CPU"); rank != 0 || !ok || !whatever.Any() {
		t.Errorf("any: %d, %v", rank, ok)
	}
}

// TestDeadlineOr: a pod's deadline overrides its profile's, and so does that it has none.
func TestDeadlineOr(t *testing.T) {
	for _, tt := range []struct{ own, profile, want time.Duration }{
		{0, 0, 0}, {0, 7, 7}, {5, 7, 5}, {7, 5, 7}, {5, 0, 5}, {NoDeadline, 7, 0}, {NoDeadline, 0, 0}, {0, -1, 0},
	} {
		if got := (Request{Deadline: tt.own}).DeadlineOr(tt.profile); got != tt.want {
			t.Errorf("%d of a profile with %d: %d, want %d", tt.own, tt.profile, got, tt.want)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add("faces", "any", "main", "5s", false)
	f.Add("faces", "gpu,NPU", "", "none", true)
	f.Add("", ",,", "\x00", "-0h", true)
	f.Add("ı", strings.Repeat("a,", 100), "x", "1e9s", false)
	f.Add("faces", "any", "main", "9223372036.854775807s", false)
	f.Fuzz(func(t *testing.T, inference, accelerator, container, deadline string, bare bool) {
		annotations := map[string]string{
			InferenceAnnotation: inference, AcceleratorAnnotation: accelerator, ContainerAnnotation: container, DeadlineAnnotation: deadline,
		}
		if bare {
			annotations = map[string]string{"inference": inference, "accelerator": accelerator, DeadlineAnnotation: deadline}
		}
		req, ours, err := ParseRequest(annotations)
		if !ours {
			t.Fatal("both keys are there, and it is not ours")
		}
		if err != nil {
			if msg := err.Error(); len(msg) > 1000 || !utf8.ValidString(msg) || strings.ContainsAny(msg, "\x00\n") {
				t.Fatalf("message: %q", msg)
			}
			return
		}
		for i, k := range req.Kinds {
			if again, err := ParseKind(strings.ToLower(string(k))); err != nil || again != k {
				t.Fatalf("kind %q reads back as %q, %v", k, again, err)
			}
			if rank, ok := req.Rank(k); rank != i || !ok || slices.Contains(req.Kinds[i+1:], k) {
				t.Fatalf("kind %q: rank %d, %v of %v", k, rank, ok, req.Kinds)
			}
		}
		if req.Deadline <= 0 && req.Deadline != NoDeadline {
			t.Fatalf("deadline %q is %d", deadline, req.Deadline)
		}
		if annotations[DeadlineAnnotation] = req.Deadline.String(); req.Deadline == NoDeadline {
			annotations[DeadlineAnnotation] = "none"
		}
		annotations[AcceleratorAnnotation], annotations[InferenceAnnotation] = JoinKinds(req.Kinds), req.Inference
		if req.Any() {
			annotations[AcceleratorAnnotation] = "any"
		}
		again, _, err := ParseRequest(annotations)
		if diff := cmp.Diff(req, again); diff != "" || err != nil {
			t.Fatalf("written and read again, %v (-want +got):\n%s", err, diff)
		}
	})
}
