package deviceflag

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

func flags() *CommandLine {
	return &CommandLine{script: -1, profile: &profile.Profile{
		DeviceFlags: []string{"-d", "--target_device"},
		Variants:    []profile.Variant{{Device: "NEW_CHIP"}, {Device: "HETERO:FPGA,CPU"}},
	}}
}

func TestRewriteText(t *testing.T) {
	same := "" // want equals the text
	cases := map[string]struct {
		text, want string
		present    bool
	}{
		"alone":                      {"-d GPU", "-d NPU", true},
		"assigned":                   {"./app -d=GPU", "./app -d=NPU", true},
		"long":                       {"./app --target_device GPU.1 -x", "./app --target_device NPU -x", true},
		"long assigned":              {"./app --target_device=CPU\n", "./app --target_device=NPU\n", true},
		"double quotes":              {`./app -d "GPU"`, `./app -d "NPU"`, true},
		"single quotes":              {`./app -d 'HETERO:FPGA,CPU'`, `./app -d 'NPU'`, true},
		"assigned quotes":            {`./app -d="GPU(4)" -v`, `./app -d="NPU" -v`, true},
		"whole word quoted":          {`./app "--target_device=GPU" x`, `./app "--target_device=NPU" x`, true},
		"flag and value quoted":      {`./app "-d" "GPU" x`, `./app "-d" "NPU" x`, true},
		"tabs and several blanks":    {"./app\t-d \t GPU", "./app\t-d \t NPU", true},
		"continued line":             {"./app -d \\\n  GPU\\\n -v", "./app -d \\\n  NPU\\\n -v", true},
		"every one":                  {"a -d GPU; b -d CPU&c -d=MYRIAD|d", "a -d NPU; b -d NPU&c -d=NPU|d", true},
		"substitution":               {"x=$(app -d GPU) `app -d CPU`", "x=$(app -d NPU) `app -d NPU`", true},
		"in a quoted script":         {`sh -c "app -d GPU"`, `sh -c "app -d NPU"`, true},
		"in an escaped script":       {`sh -c "sh -c \"app -d 'GPU'\""`, `sh -c "sh -c \"app -d 'NPU'\""`, true},
		"escaped quotes":             {`sh -c "app -d \"GPU\" -v"`, `sh -c "app -d \"NPU\" -v"`, true},
		"variable of arguments":      {`ARGS="-d GPU" ./run`, `ARGS="-d NPU" ./run`, true},
		"in a program's list":        {`run(["app -d GPU", "x"])`, `run(["app -d NPU", "x"])`, true},
		"stray apostrophe":           {"# don't\n./app -d GPU", "# don't\n./app -d NPU", true},
		"any":                        {"./app -d any", "./app -d NPU", true},
		"Any":                        {"./app -d Any", "./app -d NPU", true},
		"device id":                  {"./app -d MYRIAD.1.2-ma2480", "./app -d NPU", true},
		"list":                       {"./app -d MULTI:GPU.0,CPU", "./app -d NPU", true},
		"list with configuration":    {"./app -d MULTI:GPU(4),CPU(2)", "./app -d NPU", true},
		"list without one":           {"./app -d AUTO:-CPU", "./app -d NPU", true},
		"batch":                      {`./app -d "BATCH:GPU(16)"`, `./app -d "NPU"`, true},
		"device of a variant":        {"./app -d NEW_CHIP", "./app -d NPU", true},
		"list of a variant's":        {"./app -d AUTO:NEW_CHIP,CPU", "./app -d NPU", true},
		"right already":              {"./app -d NPU", same, true},
		"longer name":                {"./app -d GPUish", same, true},
		"name and quoted rest":       {`./app -d GPU"ish"`, same, true},
		"name and variable":          {"./app -d GPU$N", same, true},
		"lower case":                 {"./app -d gpu", same, true},
		"file":                       {"./app -d CPU.txt", same, true},
		"other word's end":           {"./app x-d GPU", same, false},
		"other flag's start":         {"./app -dd GPU --target_device_x GPU", same, false},
		"no space":                   {"./app -dGPU", same, false},
		"variable":                   {"./app -d $DEVICE", same, true},
		"expansion":                  {"./app -d $(HETEROACCEL_DEVICE)", same, true},
		"tar":                        {"tar -d /data -f x", same, true},
		"docker":                     {"docker run -d nginx", same, true},
		"date":                       {`date -d "1 hour ago"`, same, true},
		"next command":               {"./app -d\nGPU", same, true},
		"end":                        {"./app -d", same, true},
		"empty quotes":               {`./app -d ""`, same, true},
		"open quote":                 {`./app -d "GPU`, same, true},
		"open parenthesis":           {`./app -d GPU(`, same, true},
		"unknown in a list":          {"./app -d AUTO:GPU,DISK", same, true},
		"empty in a list":            {"./app -d AUTO:GPU,", same, true},
		"nothing":                    {"", same, false},
		"not ASCII":                  {"./äpp -d GPU→", same, true},
		"not ASCII, and one that is": {"ü -d GPU ü", "ü -d NPU ü", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.want == same {
				c.want = c.text
			}
			got, edits, present := flags().rewriteText(c.text, "NPU", "")
			if got != c.want || present != c.present {
				t.Errorf("rewriteText(%q) = %q, present %v, want %q, %v", c.text, got, present, c.want, c.present)
			}
			if back := unedit(got, edits); back != c.text {
				t.Errorf("undone: %q, want %q", back, c.text)
			}
		})
	}
}

func TestRewriteTextWithArgs(t *testing.T) {
	const extra = " --batch_size 1"
	cases := map[string]struct{ text, dev, want string }{
		"behind the value":         {"a -d GPU && b", "NPU", "a -d NPU --batch_size 1 && b"},
		"right device already":     {"a -d NPU && b", "NPU", "a -d NPU --batch_size 1 && b"},
		"behind its quotes":        {`a -d "GPU"; b`, "NPU", `a -d "NPU" --batch_size 1; b`},
		"behind the word's":        {`a "-d=GPU" b`, "NPU", `a "-d=NPU" --batch_size 1 b`},
		"within a script's":        {`sh -c "a -d GPU" b`, "NPU", `sh -c "a -d NPU --batch_size 1" b`},
		"within a variable's":      {`A="-d=GPU" b`, "NPU", `A="-d=NPU --batch_size 1" b`},
		"device that needs quotes": {"a -d GPU b", "MULTI:CPU(4)", "a -d 'MULTI:CPU(4)' --batch_size 1 b"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, edits, _ := flags().rewriteText(c.text, c.dev, extra)
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if back := unedit(got, edits); back != c.text {
				t.Errorf("undone: %q, want %q", back, c.text)
			}
		})
	}
}

// unedit undoes edits as the record of a mutation does.
func unedit(s string, edits []edit) string {
	l := List{Words: []string{s}}
	for _, e := range edits {
		l.edits = append(l.edits, wordEdit{edit: e})
	}
	if r := l.Change(); r != nil {
		words, ok := r.Undo(l.Words)
		if !ok {
			return "does not restore"
		}
		return words[0]
	}
	return s
}

// FuzzRewriteText: no text panics; what is edited can be undone; a second
// pass changes nothing; without the flags in it, or without any device's name,
// every byte stays.
func FuzzRewriteText(f *testing.F) {
	for _, s := range []string{
		"./app -d GPU && sleep 5", `-d "GPU"`, `-d='HETERO:FPGA,CPU'`, "-d \\\n GPU", `\"-d\" \\"GPU\\"`,
		"-d GPU(", "-d\x00GPU", `"-d" "`, `'-d=GPU'`, "--target_device=AUTO:-CPU", "-d $(X) -d any", "docker run -d nginx",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, extra := range []string{"", " --batch_size 1"} {
			got, edits, _ := flags().rewriteText(s, "NPU", extra)
			if back := unedit(got, edits); back != s {
				t.Fatalf("%q became %q, undone %q", s, got, back)
			}
			upper := strings.ToUpper(s)
			names := strings.Contains(upper, "ANY") || strings.Contains(upper, "NEW_CHIP")
			for d := range openVINODevices {
				names = names || strings.Contains(s, d)
			}
			if (!flags().mentionsFlag(s) || !names) && got != s {
				t.Fatalf("%q has no flag with a device, and became %q", s, got)
			}
			if extra != "" {
				continue
			}
			if again, _, _ := flags().rewriteText(got, "NPU", ""); again != got {
				t.Fatalf("%q became %q, then %q", s, got, again)
			}
		}
	})
}

// Hostile scripts take time in proportion to their length: in quadratic time
// these would run into the test's deadline.
func TestLongText(t *testing.T) {
	const n = 1 << 20
	for name, unit := range map[string]string{
		"flags": "-d ", "assigned": "-d=x{", "quotes": `-d "`, "values": "-d GPU ", "backslashes": `\`, "escaped": `-d \" -d \\" `,
	} {
		t.Run(name, func(t *testing.T) {
			s := strings.Repeat(unit, n/len(unit))
			got, edits, _ := flags().rewriteText(s, "NPU", "")
			if back := unedit(got, edits); back != s {
				t.Error("the edits cannot be undone")
			}
		})
	}
	words := slices.Repeat([]string{"sh", "-o"}, n/8)
	if got := scriptIndex(words, nil); got != -1 {
		t.Errorf("script at %d", got)
	}
	c := &corev1.Container{Args: slices.Repeat([]string{"-d", "GPU"}, 1000)}
	p := &profile.Profile{DeviceFlags: []string{"-d"}, Variants: []profile.Variant{
		{Kind: "NPU", Device: "NPU", Spec: &v1alpha1.Variant{Args: []string{"--batch_size", "1"}}},
	}}
	l := Rewrite(c, p, p.Variant("NPU"))
	want := append(slices.Repeat([]string{"-d", "NPU"}, 1000), "--batch_size", "1")
	if diff := cmp.Diff(want, l.Args.Words); diff != "" {
		t.Errorf("args (-want +got):\n%s", diff)
	}
}
