package mutate

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// TestWarnings: what a container's words may still name, once it has the NPU of
// testdata/profile, whose extra args are left out here.
func TestWarnings(t *testing.T) {
	shell := func(script string) corev1.Container { return corev1.Container{Command: []string{"bash", "-c", script}} }
	words := func(args ...string) corev1.Container { return corev1.Container{Args: args} }
	env := func(name, value string) corev1.Container {
		return corev1.Container{Args: []string{"-d", "GPU"}, Env: []corev1.EnvVar{{Name: name, Value: value}}}
	}
	cases := map[string]struct {
		c corev1.Container
		// want are the beginnings of the warnings, behind the container's name.
		want      []string
		unwritten bool
	}{
		// All is clear.
		"a flag":                       {c: words("-d", "GPU")},
		"no flag":                      {c: words("-m", "x")},
		"nothing":                      {},
		"a script":                     {c: shell("./app -d GPU && sleep 5")},
		"its device already":           {c: shell("./app -d NPU")},
		"our variable":                 {c: shell(`DEV=${HETEROACCEL_DEVICE:-GPU}; ./app -d "$DEV" || ./app -d CPU.0x`)},
		"our variable, in a list":      {c: words("--dev", "$(HETEROACCEL_DEVICE)")},
		"other programs' flags":        {c: shell(`tar -d /data -f x; date -d "1 hour ago"; docker run -d nginx; ./app -d GPU`)},
		"a path with a device in it":   {c: shell("./app -d GPU -o /out/gpu/CPU.log -m models/GPU/x.xml")},
		"words about devices":          {c: shell("echo using GPU now; # CPU or GPU: both\n./app -d GPU")},
		"small letters of others":      {c: shell("ps --sort=cpu; top -o cpu; ./app -d GPU --hint=cpu")},
		"a count of cores":             {c: shell("./app -d GPU --cpus 2 -nthreads=CPU_COUNT")},
		"streams of a device":          {c: shell("./app -d GPU -nstreams CPU:2")},
		"its own device, listed":       {c: shell("./app -d GPU --device NPU -d_hm=NPU.0")},
		"a variable for another thing": {c: env("VIDEO_DEVICE", "/dev/video0")},
		"a mode":                       {c: env("MODE", "auto")},
		"visible devices":              {c: env("NVIDIA_VISIBLE_DEVICES", "all")},
		"its own device, in a variable": {
			c: env("TARGET_DEVICE", "NPU")},
		"a template's arguments": {c: env("ARGO_TEMPLATE", `{"args":["-i","belt.mp4","-d","GPU"]}`)},

		// Flags whose value is not known.
		"a variable":              {c: words("-d", "$(DEV)"), want: []string{`"-d $(DEV)" stays`}, unwritten: true},
		"a variable in a script":  {c: shell("./app -d ${T:-GPU}"), want: []string{`"-d ${T:-GPU}" stays`}, unwritten: true},
		"a quoted one":            {c: shell(`./app -d="$T" -x`), want: []string{`"-d='$T'" stays`}, unwritten: true},
		"a substitution":          {c: shell("./app -d $(cat /dev)"), want: []string{`"-d $(cat" stays`}, unwritten: true},
		"one beside a device":     {c: shell("./warm -d GPU; ./app -d $T"), want: []string{`"-d $T" stays`}},
		"the same twice":          {c: shell("./app -d $T; ./app -d $T"), want: []string{`"-d $T" stays`}, unwritten: true},
		"small letters":           {c: words("-d", "gpu"), want: []string{`"-d gpu" stays`}, unwritten: true},
		"somebody else's name":    {c: words("--target_device=cuda:0"), want: []string{`"--target_device=cuda:0" stays`}, unwritten: true},
		"a name and more":         {c: words("-d", "GPU_FAST"), want: []string{`"-d GPU_FAST" stays`}, unwritten: true},
		"no value":                {c: words("-d"), want: []string{`"-d" is taken for another program's flag`}, unwritten: true},
		"only another program's":  {c: shell("docker run -d x/y"), want: []string{`"-d x/y" is taken for another program's flag`}, unwritten: true},
		"no flag in a script":     {c: shell("./app"), want: []string{"only the variable HETEROACCEL_DEVICE names NPU, as its script has none of the flags -d, --target_device"}, unwritten: true},
		"no flag for a login":     {c: corev1.Container{Args: []string{"-lc", "./app -x"}}, want: []string{"only the variable"}, unwritten: true},
		"an interpreter's":        {c: corev1.Container{Command: []string{"python3", "-c", "run(device='GPU')"}}, want: []string{`"device='GPU'" stays`, "only the variable"}, unwritten: true},
		"a list of an interpeter": {c: corev1.Container{Command: []string{"python3", "-c", `run(["app", "-d", "GPU"])`}}, want: []string{`"-d',` + "", `"'GPU'" stays`}, unwritten: true},

		// Other places.
		"an unknown flag":               {c: words("-d", "GPU", "-d_hm", "CPU"), want: []string{`"-d_hm CPU" stays`}},
		"an unknown flag in a script":   {c: shell("./app -d GPU -d_hm CPU; x --device=GPU.1"), want: []string{`"-d_hm CPU" stays`, `"--device=GPU.1" stays`}},
		"attached":                      {c: words("-dGPU", "-d", "GPU"), want: []string{`"-dGPU" stays`}},
		"an assignment":                 {c: shell("DEV=GPU; ./app -d GPU"), want: []string{`"DEV=GPU" stays`}},
		"an export":                     {c: shell("export OV_DEVICE='CPU'\n./app -d GPU"), want: []string{`"OV_DEVICE='CPU'" stays`}},
		"JSON in a here-document":       {c: shell("cat >x <<E\n{\"target_device\" : \"GPU\"}\nE\n./app -d GPU"), want: []string{`"'target_device' : 'GPU'" stays`}},
		"escaped JSON":                  {c: shell(`echo "{\"device\":\"GPU\"}" >x; ./app -d GPU`), want: []string{`"device\':\'GPU" stays`}},
		"YAML in a here-document":       {c: shell("cat >x <<E\nmodel: a\ndevice: MULTI:GPU,CPU\nE\n./app -d GPU"), want: []string{`"device: MULTI:GPU,CPU" stays`}},
		"small letters, for a device":   {c: shell("./app -d GPU --backend-device=gpu"), want: []string{`"--backend-device=gpu" stays`}},
		"a vendor's":                    {c: shell("./app -d GPU; yolo device=intel:gpu"), want: []string{`"device=intel:gpu" stays`}},
		"a mode, for a device":          {c: shell("./app -d GPU --device AUTO"), want: []string{`"--device AUTO" stays`}},
		"options in one word":           {c: words("-d", "GPU", "-vf", "dnn=model=x:device=GPU:labels=y"), want: []string{`"device=GPU" stays`}},
		"a variable that names another": {c: env("TARGET_DEVICE", "CPU"), want: []string{`variable TARGET_DEVICE is "CPU"`}},
		"any variable that does":        {c: env("RUN_ON", "GPU.0"), want: []string{`variable RUN_ON is "GPU.0"`}},
		"a variable with a flag":        {c: env("OPTS", "-x --target_device GPU"), want: []string{`variable OPTS is`}},
		"a variable with JSON":          {c: env("CONFIG", `{"target_device":"GPU"}`), want: []string{`variable CONFIG is`}},
		"a mode in a variable":          {c: env("OV_DEVICE", "AUTO"), want: []string{`variable OV_DEVICE is "AUTO"`}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := testProfile(t)
			p.Variant("NPU").Spec.Args = nil
			after, _, err := mutateOnce(asked(tc.c), p, "NPU")
			if err != nil {
				t.Fatal(err)
			}
			got := after.Warnings
			for i, w := range got {
				got[i] = strings.TrimPrefix(w, `container "inference": `)
				if len(w) > 256 {
					t.Errorf("a warning of %d bytes: %s", len(w), w)
				}
			}
			if !slices.EqualFunc(tc.want, got, func(want, got string) bool { return strings.HasPrefix(got, want) }) {
				t.Errorf("warnings (-want +got):\n%s", cmp.Diff(tc.want, got))
			}
			original := after.Metadata.Annotations["heteroaccel.io/original"]
			if unwritten := strings.Contains(original, `"unwritten":true`); unwritten != tc.unwritten {
				t.Errorf("unwritten %v, want %v", unwritten, tc.unwritten)
			}
			if reason := after.Metadata.Annotations["heteroaccel.io/reason"]; (len(got) > 0) != strings.Contains(reason, "; but ") {
				t.Errorf("%d warnings, and the reason is %s", len(got), reason)
			}
		})
	}
}

// maxWarnings is how many warnings there are at most, but for one that counts
// the rest.
const maxWarnings = 5

// TestWarningsOfHostileWords: much that is doubtful makes few and short words.
func TestWarningsOfHostileWords(t *testing.T) {
	p := testProfile(t)
	for name, text := range map[string]string{
		"flags":   strings.Repeat("-d $X ", 100_000),
		"devices": strings.Repeat(`D="GPU" `, 100_000),
		"many": func() string {
			var b strings.Builder
			for i := range 5000 {
				b.WriteString("-x" + strings.Repeat("y", i%50) + " GPU\n")
			}
			return b.String()
		}(),
		"long":        "-d $" + strings.Repeat("x", 1<<20),
		"not a text":  "-d \xff\x00$\x1b[31m",
		"one token":   strings.Repeat("GPU,", 1<<18),
		"many quotes": strings.Repeat(`"`, 1<<20) + "-d $X",
	} {
		t.Run(name, func(t *testing.T) {
			after, _, err := mutateOnce(asked(corev1.Container{Command: []string{"sh", "-c", text}}), p, "NPU")
			if err != nil {
				t.Fatal(err)
			}
			if n := len(after.Warnings); n > maxWarnings+1 {
				t.Errorf("%d warnings", n)
			}
			for _, w := range append(after.Warnings, after.Metadata.Annotations["heteroaccel.io/reason"]) {
				if len(w) > 300 || strings.ToValidUTF8(w, "") != w || strings.ContainsFunc(w, func(r rune) bool { return r < ' ' }) {
					t.Errorf("%d bytes: %q", len(w), w)
				}
			}
		})
	}
}
