package image

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// config is how a container of an image runs unless its pod says otherwise.
type config struct {
	Entrypoint []string
	Cmd        []string
	Env        []string // NAME=VALUE
	User       string   // UID:GID
	WorkingDir string
}

func (r recipe) key() string {
	values := []any{"archive", r.names, r.config}
	for _, l := range r.layers {
		values = append(values, l.key())
	}
	return key(values...)
}

// archive writes the image of a recipe whose layers are in files to path.
func (b *builder) archive(r recipe, files []string, path string) error {
	layers := make([]v1.Layer, len(files))
	for i, file := range files {
		l, err := tarball.LayerFromFile(file)
		if err != nil {
			return fmt.Errorf("read the layer %s: %w", r.layers[i].name, err)
		}
		layers[i] = l
	}
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return err
	}
	file = file.DeepCopy()
	file.Architecture, file.OS = goarch, "linux"
	file.Config = v1.Config{
		Entrypoint: r.config.Entrypoint, Cmd: r.config.Cmd, Env: r.config.Env,
		User: r.config.User, WorkingDir: r.config.WorkingDir,
	}
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return err
	}
	tagged := map[name.Tag]v1.Image{}
	for _, n := range r.names {
		tag, err := name.NewTag(n)
		if err != nil {
			return err
		}
		tagged[tag] = image
	}
	work, err := os.MkdirTemp(b.dir, halfBuilt+r.name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	temporary := filepath.Join(work, "archive")
	if err := tarball.MultiWriteToFile(temporary, tagged); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
