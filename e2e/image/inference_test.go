package image

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/inference"
)

// TestTheInferenceImageGoesByAllNamesOfTheRegistry keeps the image's names and
// those of the profiles and examples together.
func TestTheInferenceImageGoesByAllNamesOfTheRegistry(t *testing.T) {
	models, err := inference.Models()
	if err != nil {
		t.Fatal(err)
	}
	names, _ := inferenceNames(models)
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	reference := regexp.MustCompile(`(?m)^\s*image: (heteroaccel/\S+)`)
	found := 0
	for _, pattern := range []string{"deploy/registry/*.yaml", "deploy/examples/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range reference.FindAllSubmatch(data, -1) {
				found++
				name := string(match[1])
				if !slices.Contains(names, name) && !slices.Contains(names, name+":latest") {
					t.Errorf("%s: the inference image does not go by %s", file, name)
				}
			}
		}
	}
	if found < len(models)*4 {
		t.Errorf("found %d images in the registry and the examples, want at least %d", found, len(models)*4)
	}
}

func TestWhatIsNeededOfAWheel(t *testing.T) {
	for name, want := range map[string]bool{
		"openvino/libs/libopenvino_intel_cpu_plugin.so":                         true,
		"openvino/libs/libopenvino_intel_gpu_plugin.so":                         false,
		"openvino/libs/libopenvino_onnx_frontend.so.2641":                       true,
		"openvino/libs/libopenvino_pytorch_frontend.so.2641":                    false,
		"openvino/frontend/frontend.py":                                         true,
		"openvino/frontend/jax/py_jax_frontend.cpython-311-x86_64-linux-gnu.so": false,
		"openvino/include/openvino/core.hpp":                                    false,
		"numpy/_core/tests/test_x.py":                                           false,
		"numpy/linalg/_linalg.pyi":                                              false,
		"numpy.libs/libscipy_openblas64_-32a4b2a6.so":                           true,
		"openvino-2026.4.1.dist-info/licenses/LICENSE":                          true,
	} {
		if got := needed(name); got != want {
			t.Errorf("needed(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestFilesOfAWheel(t *testing.T) {
	var data bytes.Buffer
	w := zip.NewWriter(&data)
	for _, name := range []string{"a/", "a/model.onnx", "a/other.py"} {
		if _, err := w.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a-1-py3-none-any.whl")
	if err := os.WriteFile(file, data.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := unzip(file, func(name string) bool { return name != "a/other.py" }, func(name string, _ []byte) { got = append(got, name) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a/model.onnx"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
