package deviceflag

import (
	"testing"

	"heteroaccel.io/pkg/profile"
)

// TestDeviceFor: what becomes of a flag's value, by the variant's device; "" when
// it stays.
func TestDeviceFor(t *testing.T) {
	plain := &profile.Profile{Variants: []profile.Variant{{Device: "GPU"}, {Device: "NPU"}, {Device: "HETERO:FPGA,CPU"}}}
	vendors := &profile.Profile{Variants: []profile.Variant{{Device: "intel:gpu"}, {Device: "rknn:npu"}, {Device: "CPU"}}}
	for name, c := range map[string]struct {
		p              *profile.Profile
		was, dev, want string
	}{
		"a plugin":                            {plain, "GPU", "NPU", "NPU"},
		"a plugin, for a list":                {plain, "GPU", "HETERO:FPGA,CPU", "HETERO:FPGA,CPU"},
		"the vendor stays":                    {plain, "intel:gpu", "NPU", "intel:npu"},
		"so does an id":                       {plain, "intel:gpu", "GPU.1", "intel:gpu.1"},
		"an id of the user's goes":            {plain, "intel:gpu.1", "NPU", "intel:npu"},
		"large letters stay":                  {plain, "intel:GPU", "NPU", "intel:NPU"},
		"whatever the vendor's case":          {plain, "Intel:gpu", "NPU", "Intel:npu"},
		"right already":                       {plain, "intel:npu", "NPU", "intel:npu"},
		"a list has no vendor":                {plain, "intel:gpu", "HETERO:FPGA,CPU", ""},
		"nor a configuration":                 {plain, "intel:gpu", "GPU(4)", ""},
		"a vendor's variant":                  {vendors, "intel:npu", "intel:gpu", "intel:gpu"},
		"another vendor's variant":            {vendors, "intel:gpu", "rknn:npu", "rknn:npu"},
		"a plugin, for a vendor's variant":    {vendors, "GPU", "intel:gpu", "intel:gpu"},
		"a vendor that a variant has":         {vendors, "RKNN:cpu", "intel:gpu", "intel:gpu"},
		"a vendor's, for a plugin's variant":  {vendors, "intel:gpu", "CPU", "CPU"}, // it is a variant's device itself
		"another form, for a plugin's":        {vendors, "intel:npu", "CPU", "intel:cpu"},
		"an image and its tag":                {plain, "openvino:gpu", "NPU", ""},
		"an image of a registry":              {plain, "reg:5000/x:gpu", "NPU", ""},
		"a vendor with no device":             {plain, "intel:", "NPU", ""},
		"a vendor with something else":        {plain, "intel:latest", "NPU", ""},
		"a device of a camera":                {plain, "/dev/video0", "NPU", ""},
		"a mode is no vendor":                 {&profile.Profile{Variants: []profile.Variant{{Device: "AUTO:GPU"}}}, "AUTO:gpu", "NPU", ""},
		"small letters without a vendor stay": {plain, "gpu", "NPU", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := &CommandLine{profile: c.p}
			got, ok := l.deviceFor(c.was, c.dev)
			if ok != (c.want != "") || ok && got != c.want {
				t.Errorf("deviceFor(%q, %q) = %q, %v, want %q", c.was, c.dev, got, ok, c.want)
			}
		})
	}
}

// TestRewriteKeys: a key counts in one word only, and so do others' values not.
func TestRewriteKeys(t *testing.T) {
	const same = ""
	p := &profile.Profile{DeviceFlags: []string{"device"}, Variants: []profile.Variant{{Device: "GPU"}}}
	for name, c := range map[string]struct{ text, want string }{
		"an element":            {"gst-launch v device=/dev/video0 ! d device=GPU x=1 ! c device=CPU", "gst-launch v device=/dev/video0 ! d device=NPU x=1 ! c device=NPU"},
		"the end":               {"d device=GPU", "d device=NPU"},
		"in quotes":             {`d "device=GPU" 'device=CPU'`, `d "device=NPU" 'device=NPU'`},
		"a quoted value":        {`d device="GPU" device='MULTI:GPU,CPU'`, `d device="NPU" device='NPU'`},
		"a vendor":              {"yolo device=intel:gpu", "yolo device=intel:npu"},
		"a call":                {`model.predict(x, device="GPU")`, `model.predict(x, device="NPU")`},
		"a call without blanks": {`f(x,device='GPU',y=2)`, `f(x,device='NPU',y=2)`},
		"options in one word":   {"dnn=model=x:device=GPU:labels=y", "dnn=model=x:device=NPU:labels=y"},
		"a list among options":  {"d device=MULTI:GPU,CPU,nireq=2", "d device=NPU,nireq=2"},
		"options by commas":     {"d device=GPU,nireq=2", "d device=NPU,nireq=2"},
		"two words":             {"d device GPU", same},
		"a flag":                {"d --device=GPU -device=CPU", same},
		"a longer key":          {"d target_device=GPU device_id=GPU", same},
		"no device":             {"d device=gpu0 device=$X device=", same},
		"a property of another": {"d.device=GPU", same},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want == same {
				c.want = c.text
			}
			l := &CommandLine{profile: p, script: -1}
			got, edits, _ := l.rewriteText(c.text, "NPU", "")
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if back := unedit(got, edits); back != c.text {
				t.Errorf("undone: %q, want %q", back, c.text)
			}
		})
	}
}

func TestIsDevice(t *testing.T) {
	p := flags().profile
	for _, s := range []string{"CPU", "GPU", "GPU.0", "NPU.3720", "GPU(4)", "GPU.1(4)", "AUTO", "AUTO:GPU,CPU", "HETERO:FPGA,CPU", "BATCH:GPU(16)", "any", "ANY", "NEW_CHIP"} {
		if !isDevice(s, p) {
			t.Errorf("%q is a device", s)
		}
	}
	for _, s := range []string{"", "gpu", "GPUX", "CPU.", "CPU.txt", "GPU()", "GPU(a b)", "GPU(4", "AUTO:", "AUTO:,", "CPU:GPU", "AUTO:AUTO:GPU", "nginx", "/data", "GPU,CPU", "any.0"} {
		if isDevice(s, p) {
			t.Errorf("%q is no device", s)
		}
	}
}
