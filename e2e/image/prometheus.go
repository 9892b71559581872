package image

import "context"

// prometheus is Debian's Prometheus with the assets of its UI. It reads its
// configuration from /etc/prometheus and keeps its data in /prometheus; both
// are the pod's to mount.
func (b *builder) prometheus(ctx context.Context) (Image, error) {
	packages := debian{
		Packages: []string{"prometheus"},
		Unpack:   []string{"prometheus", "libjs-*", "fonts-*", "libc6"},
		Prune:    []string{"etc/default/", "etc/logrotate.d/", "var/", "usr/bin/promtool", "usr/share/javascript/moment-timezone/data/unpacked/"},
	}
	return b.build(ctx, recipe{
		name:  "prometheus",
		names: []string{"heteroaccel/prometheus:" + Version},
		config: config{
			Entrypoint: []string{"/usr/bin/prometheus"},
			Cmd: []string{
				"--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus",
				"--web.console.templates=/etc/prometheus/consoles", "--web.console.libraries=/etc/prometheus/console_libraries",
			},
			User:       nobody,
			WorkingDir: "/prometheus",
		},
		layers: []layer{
			packages.layer("packages"),
			{
				name: "directories",
				from: "/prometheus, /tmp",
				fill: func(context.Context, string) (*tree, error) {
					t := newTree()
					t.directory("prometheus", 0o1777)
					t.directory("tmp", 0o1777)
					return t, nil
				},
			},
		},
	})
}
