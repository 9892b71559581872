package main

import (
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// nowhere is where the files are until somebody says where they are published.
const nowhere = "https://releases.example/heteroaccel"

// plugin is the manifest of a plugin of kubectl, as Krew reads it. Source:
// https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/.
type plugin struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       pluginSpec        `json:"spec"`
}

type pluginSpec struct {
	Version          string           `json:"version"`
	Homepage         string           `json:"homepage"`
	ShortDescription string           `json:"shortDescription"`
	Description      string           `json:"description"`
	Platforms        []pluginPlatform `json:"platforms"`
}

type pluginPlatform struct {
	Selector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	} `json:"selector"`
	URI    string       `json:"uri"`
	SHA256 string       `json:"sha256"`
	Files  []pluginFile `json:"files"`
	// Bin is what Krew links to kubectl-heteroaccel.
	Bin string `json:"bin"`
}

type pluginFile struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// cliFile is the archive of the command line program for a platform, and binary the
// program in it.
func cliFile(version string, p platform) (archive, binary string) {
	format, end := ".tar.gz", ""
	if p.os == "windows" {
		format, end = ".zip", ".exe"
	}
	return "heteroaccel-" + version + "-cli-" + p.name() + format, cli + end
}

// krew writes the manifest of the plugin, of the archives that a directory has.
func (r *release) krew(out string) error {
	url := strings.TrimSuffix(r.url, "/")
	m := plugin{APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Metadata: map[string]string{"name": cli}, Spec: pluginSpec{
		Version: r.version, Homepage: url,
		ShortDescription: "See which accelerator pods get, and why they wait",
		Description: `Shows what HeteroAccel does: which pods wait for an accelerator and in which
order, why a pod got its kind, which devices are busy, idle or unhealthy, and
what was decided. Checks an installation, and says what kube-scheduler needs.
`,
	}}
	for _, p := range r.desks {
		archive, binary := cliFile(r.version, p)
		sum, err := digest(filepath.Join(out, archive))
		if err != nil {
			return err
		}
		on := pluginPlatform{
			URI: url + "/" + archive, SHA256: sum, Bin: binary,
			Files: []pluginFile{{From: binary, To: "."}, {From: "LICENSE", To: "."}},
		}
		on.Selector.MatchLabels = map[string]string{"os": p.os, "arch": p.arch}
		m.Spec.Platforms = append(m.Spec.Platforms, on)
	}
	text, err := yaml.Marshal(m)
	if err != nil {
		return err
	}
	return write(filepath.Join(out, krewFile(r.version)), text)
}

func krewFile(version string) string { return "heteroaccel-" + version + "-krew.yaml" }
