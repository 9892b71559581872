package image

import (
	"context"
	"path"

	"heteroaccel.io/e2e/inference"
)

// client is tritonclient with the program that sends pictures with it.
func (b *builder) client(ctx context.Context) (Image, error) {
	files, err := inference.Client()
	if err != nil {
		return Image{}, err
	}
	const dir = "opt/client"
	pictures := map[string]string{}
	for from, to := range inference.Pictures {
		pictures[from] = path.Join(dir, to)
	}
	return b.build(ctx, recipe{
		name:  "inference-client",
		names: []string{"heteroaccel/inference-client:" + Version},
		config: config{
			Entrypoint: []string{"/" + path.Join(dir, inference.Main)},
			Env:        []string{"PATH=/usr/bin:/bin", "PYTHONUNBUFFERED=1"},
			User:       nobody,
			WorkingDir: "/",
		},
		layers: []layer{
			system.layer("system"),
			packages(inference.ClientRequirements),
			{name: "pictures", from: []any{string(inference.PictureRequirements), pictures}, fill: func(ctx context.Context, work string) (*tree, error) {
				return picked(ctx, work, inference.PictureRequirements, pictures)
			}},
			{name: "program", from: files, fill: func(context.Context, string) (*tree, error) {
				t := newTree()
				for name, data := range files {
					t.add(path.Join(dir, name), 0o755, data)
				}
				t.directory("tmp", 0o1777)
				return t, nil
			}},
		},
	})
}
