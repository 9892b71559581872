//go:build cluster

package inference

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ask runs a line of Python with the program's modules and decodes the JSON
// that it prints. These modules need no more than Python itself.
func ask(t *testing.T, into any, line string, args ...string) (stderr string, code int) {
	t.Helper()
	script := "import json, sys; sys.path.insert(0, 'program'); sys.dont_write_bytecode = True\n" + line
	cmd := exec.Command("python3", append([]string{"-c", script}, args...)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if cmd.ProcessState == nil {
		t.Fatalf("these tests need python3: %v", err)
	}
	if len(out) > 0 {
		if err := json.Unmarshal(out, into); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
	}
	return said.String(), cmd.ProcessState.ExitCode()
}

const parse = `import arguments
models = {name: m["inference"] for name, m in json.load(open("models.json")).items()}
a = arguments.parse(sys.argv[1:], models)
print(json.dumps([a.model, a.device.flag, a.device.parts, a.seconds, a.iterations, a.streams, a.port]))`

func TestCommandLines(t *testing.T) {
	for name, test := range map[string]struct {
		line string
		want []any
	}{
		"a device":             {"inference -m face -d GPU", []any{"face", "GPU", []any{"GPU"}, 10., nil, 1., nil}},
		"the profile's name":   {"inference -m face-recognition", []any{"face", "CPU", []any{"CPU"}, 10., nil, 1., nil}},
		"called by its name":   {"./text_recognition -i cam0 -d MYRIAD", []any{"text", "MYRIAD", []any{"MYRIAD"}, 10., nil, 1., nil}},
		"an equals sign":       {"inference -m face -d=NPU", []any{"face", "NPU", []any{"NPU"}, 10., nil, 1., nil}},
		"the long flag":        {"inference -m face --target_device GPU.1", []any{"face", "GPU.1", []any{"GPU.1"}, 10., nil, 1., nil}},
		"a list":               {"inference -m object -d HETERO:FPGA,CPU -t 2.5", []any{"object", "HETERO:FPGA,CPU", []any{"FPGA", "CPU"}, 2.5, nil, 1., nil}},
		"a number of times":    {"inference -m object -d AUTO -niter 5 -nstreams 2", []any{"object", "AUTO", []any{}, nil, 5., 2., nil}},
		"a batch":              {"inference -m object -d BATCH:GPU(4)", []any{"object", "BATCH:GPU(4)", []any{"GPU"}, 10., nil, 1., nil}},
		"a device left out":    {"inference -m object -d AUTO:-CPU,GPU", []any{"object", "AUTO:-CPU,GPU", []any{"GPU"}, 10., nil, 1., nil}},
		"serving":              {"inference -m face --port 8080", []any{"face", "CPU", []any{"CPU"}, 10., nil, 1., 8080.}},
		"an action, both ends": {"inference -m action -t 3 -niter 7", []any{"action", "CPU", []any{"CPU"}, 3., 7., 1., nil}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []any
			if stderr, code := ask(t, &got, parse, strings.Fields(test.line)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCommandLinesThatMakeNoSense(t *testing.T) {
	for name, test := range map[string]struct{ line, want string }{
		"no model":          {"inference -d CPU", "give -m with one of face, action, text, object"},
		"an unknown model":  {"inference -m cats", "no model 'cats': give -m with one of face, action, text, object"},
		"an unknown device": {"inference -m face -d TOASTER", "-d 'TOASTER' is not an OpenVINO device"},
		"an empty list":     {"inference -m face -d HETERO:", "is not an OpenVINO device"},
		"no time":           {"inference -m face -t 0", "'0' is not a number of seconds above 0"},
		"not a time":        {"inference -m face -t nan", "is not a number of seconds"},
		"not a count":       {"inference -m face -niter -1", "-niter"},
		"too many streams":  {"inference -m face -nstreams 65", "'65' is not a whole number from 1 to 64"},
		"serve and measure": {"inference -m face --port 8080 -t 3", "leave out -t and -niter"},
		"no such port":      {"inference -m face --port 65536", "'65536' is not a whole number from 0 to 65535"},
		"an unknown flag":   {"inference -m face -x", "-x"},
	} {
		t.Run(name, func(t *testing.T) {
			stderr, code := ask(t, nil, parse, strings.Fields(test.line)...)
			if code != 2 || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d and %q, want 2 and one line with %q", code, stderr, test.want)
			}
		})
	}
}

func TestTheChoiceOfADevice(t *testing.T) {
	const choose = `import arguments, choice
print(json.dumps(choice.choose(arguments.parse_device(sys.argv[1]), sys.argv[2].split(","))))`
	lacks := func(missing, available string) string {
		return missing + " not available to OpenVINO here, which has " + available
	}
	for name, test := range map[string]struct {
		flag, available string
		want            []string
	}{
		"it is there":                 {"GPU", "CPU,GPU", []string{"GPU", ""}},
		"one of several":              {"GPU", "CPU,GPU.0,GPU.1", []string{"GPU", ""}},
		"by its number":               {"GPU.0", "CPU,GPU", []string{"GPU.0", ""}},
		"it is not there":             {"GPU", "CPU", []string{"CPU", lacks("GPU is", "CPU")}},
		"another number":              {"GPU.1", "CPU,GPU.0", []string{"CPU", lacks("GPU.1 is", "CPU, GPU.0")}},
		"one of a list is not":        {"HETERO:FPGA,CPU", "CPU", []string{"CPU", lacks("FPGA is", "CPU")}},
		"two of a list are there":     {"MULTI:NPU,GPU,CPU", "CPU,GPU", []string{"MULTI:GPU,CPU", lacks("NPU is", "CPU, GPU")}},
		"none of a list is there":     {"AUTO:GPU,NPU", "CPU", []string{"CPU", lacks("GPU and NPU are", "CPU")}},
		"the choice is OpenVINO's":    {"AUTO", "CPU", []string{"AUTO", ""}},
		"a batch on one that is gone": {"BATCH:MYRIAD(4)", "CPU", []string{"CPU", lacks("MYRIAD is", "CPU")}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			if stderr, code := ask(t, &got, choose, test.flag, test.available); code != 0 {
				t.Fatal(stderr)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatTheContainerWasGiven(t *testing.T) {
	const look = `import container, pathlib
root = pathlib.Path(sys.argv[1])
print(json.dumps([container.device_nodes(root), container.threads(root, cpus=8), container.variables({"HOME": "/", "HETEROACCEL_DEVICE": "GPU", "ACCELERATOR_DEVICES": "card0"})]))`
	for name, test := range map[string]struct {
		files   map[string]string
		nodes   []any
		threads float64
	}{
		"nothing":        {nil, []any{}, 8},
		"nodes":          {map[string]string{"dev/dri/renderD128": "", "dev/dri/by-path/x": "", "dev/bus/usb/001/004": ""}, []any{"/dev/bus/usb/001/004", "/dev/dri/renderD128"}, 8},
		"v2, limited":    {map[string]string{"sys/fs/cgroup/cpu.max": "150000 100000\n"}, []any{}, 2},
		"v2, unlimited":  {map[string]string{"sys/fs/cgroup/cpu.max": "max 100000\n"}, []any{}, 8},
		"v1, limited":    {map[string]string{"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "20000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, []any{}, 1},
		"v1, unlimited":  {map[string]string{"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, []any{}, 8},
		"above the CPUs": {map[string]string{"sys/fs/cgroup/cpu.max": "9000000 100000\n"}, []any{}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, data := range test.files {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var got []any
			if stderr, code := ask(t, &got, look, root); code != 0 {
				t.Fatal(stderr)
			}
			want := []any{test.nodes, test.threads, []any{"ACCELERATOR_DEVICES=card0", "HETEROACCEL_DEVICE=GPU"}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
