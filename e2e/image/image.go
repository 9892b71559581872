package image

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"heteroaccel.io/e2e/cluster"
)

// Version is the tag of the images that have one version only.
const Version = "v0.1.0"

// Options say what to build from and how to report.
type Options struct {
	// Programs is the directory with the product's programs, static binaries
	// named connector, extender, webhook and exporter.
	Programs string
	// Tag is that of the product's image; "" for Version.
	Tag string
	// Out is where progress goes; nil for nowhere.
	Out io.Writer
}

// Image is one image in an archive.
type Image struct {
	// Names are the references under which a pod finds the image once the
	// archive is imported. There is at least one; all mean the same image.
	Names []string
	// Path is that of the archive, in the cache: not to be changed.
	Path string
}

// Name is the first of the image's names.
func (i Image) Name() string { return i.Names[0] }

// ID says which image is meant.
type ID string

// The images of a cluster, and of one of containers.
const (
	HeteroAccel  ID = "heteroaccel" // the product's programs
	Pause        ID = "pause"       // for containerd's sandbox_image
	DevicePlugin ID = "device-plugin"
	DNS          ID = "dns"
	Prometheus   ID = "prometheus"
	Inference    ID = "inference"
	Client       ID = "inference-client"
	Serving      ID = "serving" // a server that answers with who it is, and its client
	// LocalCluster is what docker-compose.yaml has beside stock programs.
	LocalCluster ID = "localcluster"
)

// All lists the images that Build makes if it is told of none: those of a cluster of real
// nodes.
var All = []ID{HeteroAccel, Pause, DevicePlugin, DNS, Prometheus, Inference, Client, Serving}

// Build makes what is missing of the named images, or of all. What is compiled
// is compiled each time, which Go's own cache makes short. From nothing it
// takes about a minute and downloads about 250 MB.
func Build(ctx context.Context, opts Options, ids ...ID) (map[ID]Image, error) {
	b, err := newBuilder(opts.Out)
	if err != nil {
		return nil, err
	}
	defer b.report.Clear()
	steps := map[ID]func(context.Context) (Image, error){
		HeteroAccel: func(ctx context.Context) (Image, error) {
			return b.programs(ctx, opts.Programs, cmp.Or(opts.Tag, Version))
		},
		Pause:        b.pause,
		DevicePlugin: b.devicePlugin,
		DNS:          b.dns,
		Prometheus:   b.prometheus,
		Inference:    b.inference,
		Client:       b.client,
		Serving:      b.serving,
		LocalCluster: b.localCluster,
	}
	if len(ids) == 0 {
		ids = All
	}
	images := map[ID]Image{}
	for _, id := range ids {
		step, ok := steps[id]
		if !ok {
			return nil, fmt.Errorf("there is no image %q: it is one of %q", id, All)
		}
		if images[id], err = step(ctx); err != nil {
			return nil, err
		}
	}
	return images, nil
}

// builder makes images in a cache directory.
type builder struct {
	dir    string
	report *cluster.Progress
}

func newBuilder(out io.Writer) (*builder, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the cache directory: set XDG_CACHE_HOME or HOME: %w", err)
	}
	return &builder{
		dir:    filepath.Join(cache, "heteroaccel", "images"),
		report: cluster.NewProgress(out),
	}, nil
}

// recipe is all that an image consists of.
type recipe struct {
	name   string // of the files in the cache
	names  []string
	config config
	layers []layer // from the bottom up
}

// unused is how long a file in the cache may lie before it is removed.
const unused = 14 * 24 * time.Hour

// build makes the archive of a recipe unless the cache has it. Of two at once
// the second waits for the first.
func (b *builder) build(ctx context.Context, r recipe) (Image, error) {
	image := Image{Names: r.names, Path: filepath.Join(b.dir, r.name+"-"+r.key()+".tar")}
	if touch(image.Path) {
		return image, nil
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return Image{}, fmt.Errorf("make the directory of the images: %w", err)
	}
	unlock, err := cluster.LockFile(ctx, filepath.Join(b.dir, r.name+".lock"), func() {
		b.report.Line("another build of the image " + r.name + " is running: waiting for it")
	})
	if err != nil {
		return Image{}, err
	}
	defer unlock()
	if touch(image.Path) {
		return image, nil
	}
	if err := b.sweep(r.name); err != nil {
		return Image{}, err
	}
	start := time.Now()
	defer b.report.Show("image " + r.name)()
	files := make([]string, len(r.layers))
	for i, l := range r.layers {
		if files[i], err = b.layer(ctx, r.name, l); err != nil {
			return Image{}, fmt.Errorf("build the image %s: %w", r.name, err)
		}
	}
	b.report.Set("image " + r.name + ": writing the archive")
	if err := b.archive(r, files, image.Path); err != nil {
		return Image{}, fmt.Errorf("build the image %s: %w", r.name, err)
	}
	info, err := os.Stat(image.Path)
	if err != nil {
		return Image{}, fmt.Errorf("build the image %s: %w", r.name, err)
	}
	b.report.Line(fmt.Sprintf("image %s: %.1f MB, %s", r.name, float64(info.Size())/1e6, time.Since(start).Round(100*time.Millisecond)))
	return image, nil
}

// touch reports whether a file is in the cache, and marks it as used.
func touch(path string) bool {
	now := time.Now()
	return os.Chtimes(path, now, now) == nil
}

// halfBuilt starts the names of what a build in progress writes to; the
// image's name follows, since each image has a lock of its own.
const halfBuilt = ".building-"

// sweep removes what a killed build of an image left, and what nobody used for
// long. The caller has the image's lock.
func (b *builder) sweep(name string) error {
	left, err := filepath.Glob(filepath.Join(b.dir, halfBuilt+name+"-*"))
	if err != nil {
		return fmt.Errorf("look for the remains of a killed build: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(b.dir, name+"-*"))
	if err != nil {
		return fmt.Errorf("look for old images: %w", err)
	}
	for _, path := range old {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > unused {
			left = append(left, path)
		}
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove the remains of a build: %w", err)
		}
	}
	return nil
}

// goarch is the architecture of everything built.
const goarch = runtime.GOARCH
