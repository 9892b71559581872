package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/dynamic-resource-allocation/kubeletplugin"

	"heteroaccel.io/exporter/collector"
	"heteroaccel.io/exporter/dradriver"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/program"
)

// driveFlags say which kinds the exporter serves as DRA driver, and where.
type driveFlags struct {
	kinds  []string
	slots  map[string]int
	podUID string
	config dradriver.Config
	kube   kube.Flags
}

func (f *driveFlags) add(fs *pflag.FlagSet) {
	fs.StringSliceVar(&f.kinds, "drive", nil, "kinds of devices that the exporter serves as DRA driver, such as npu,fpga,cpu; none by default. A kind that a device plugin or another DRA driver serves on the node is left to that")
	fs.StringToIntVar(&f.slots, "drive-slots", nil, "how many claims may share each device of a kind, such as gpu=4; 1 by default, and any number for cpu")
	fs.DurationVar(&f.config.Refresh, "drive-refresh", 5*time.Second, "how often the devices are looked at, for what is published of them")
	fs.BoolVar(&f.config.RuntimeHasCDI, "runtime-has-cdi", false, "the container runtime gives CDI devices to containers although its version does not tell: containerd 1.7 with enable_cdi, or one that is not known. Without CDI nothing is published")
	fs.StringVar(&f.config.RegistryDir, "plugin-registry-dir", kubeletplugin.KubeletRegistryDir, "where the kubelet looks for the sockets of plugins")
	fs.StringVar(&f.config.DataDir, "plugin-data-dir", filepath.Join(kubeletplugin.KubeletPluginsDir, accel.DeviceDriver), "directory for the driver's socket, which the kubelet must see at the same path")
	fs.StringVar(&f.config.CDIDir, "cdi-dir", kubeletplugin.DefaultCDIDir, "directory for CDI files, in which the container runtime looks for them")
	fs.StringVar(&f.config.Dev, "path.dev", "/dev", "where the host's /dev is mounted, for the groups of device files")
	fs.StringVar(&f.podUID, "pod-uid", program.EnvOr("POD_UID", ""), "UID of the pod that the exporter runs in, with which two may serve a node while one replaces the other; default: POD_UID")
	fs.Lookup("pod-uid").DefValue = "" // it differs from pod to pod
	f.kube.Add(fs)
}

// check rejects values with which no device could be served.
func (f *driveFlags) check() error {
	f.config.Kinds = nil
	for _, text := range f.kinds {
		kind, err := accel.ParseKind(text)
		if err != nil {
			return fmt.Errorf("--drive: %w", err)
		}
		if !slices.Contains(f.config.Kinds, kind) {
			f.config.Kinds = append(f.config.Kinds, kind)
		}
	}
	f.config.Slots = map[accel.Kind]int{}
	for _, text := range slices.Sorted(maps.Keys(f.slots)) {
		kind, err := accel.ParseKind(text)
		switch count := f.slots[text]; {
		case err != nil:
			return fmt.Errorf("--drive-slots: %w", err)
		case kind == accel.CPU:
			return fmt.Errorf("--drive-slots %s=%d: any number of claims share the CPU: leave it out", text, count)
		case !slices.Contains(f.config.Kinds, kind):
			return fmt.Errorf("--drive-slots %s=%d: the kind is not served: add it to --drive", text, count)
		case count < 1 || count > maxSlots:
			return fmt.Errorf("--drive-slots %s=%d: give a number from 1 to %d", text, count, maxSlots)
		default:
			f.config.Slots[kind] = count
		}
	}
	for flag, dir := range map[string]string{
		"plugin-registry-dir": f.config.RegistryDir, "plugin-data-dir": f.config.DataDir, "cdi-dir": f.config.CDIDir, "path.dev": f.config.Dev,
	} {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("--%s %q is not the path of a directory: give one that begins with /", flag, dir)
		}
	}
	if len(f.config.Kinds) > 0 {
		if info, err := os.Stat(f.config.Dev); err != nil || !info.IsDir() {
			return fmt.Errorf("--path.dev %q is not a directory: give the one where the host's is mounted", f.config.Dev)
		}
	}
	if f.config.Refresh < time.Second/10 {
		return fmt.Errorf("--drive-refresh %s is too short: give 100ms or more", f.config.Refresh)
	}
	return f.kube.Check()
}

// maxSlots is the highest number of claims that may share a device.
const maxSlots = 1 << 10

// driver is the DRA driver, nil where there is nothing to serve.
func (f *driveFlags) driver(node collector.Config, log zerolog.Logger) (*dradriver.Driver, error) {
	if len(f.config.Kinds) == 0 {
		return nil, nil
	}
	rest, err := kube.Config(f.kube, "heteroaccel-exporter")
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(kube.Protobuf(rest))
	if err != nil {
		return nil, fmt.Errorf("create a client of the API server: %w", err)
	}
	config := f.config
	config.Node, config.Sys, config.Proc, config.PodUID = node.Node, node.Sys, node.Proc, types.UID(f.podUID)
	return dradriver.New(config, client, log)
}
