package deploy_test

import (
	"cmp"
	"slices"
	"strings"
)

// ordered sorts what is a set by name in Kubernetes, though it is written as a list: a
// pod's volumes and where a container mounts them.
func ordered(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			v[key] = ordered(below)
			list, ok := below.([]any)
			if ok && (key == "volumes" || key == "volumeMounts") {
				slices.SortFunc(list, func(a, b any) int { return cmp.Compare(nameOf(a), nameOf(b)) })
			}
		}
	case []any:
		for i := range v {
			v[i] = ordered(v[i])
		}
	}
	return value
}

// nameOf is the name of a volume, or of where one is mounted.
func nameOf(value any) string {
	m, ok := value.(map[string]any)
	if !ok {
		return "" // a schema has lists of these names too
	}
	name, _ := m["name"].(string)
	return name
}

// names of the namespaces in installations that have others.
var otherNames = strings.NewReplacer("heteroaccel-system", "accel-core", "heteroaccel-sessions", "accel-sessions",
	"'heteroaccel-exporter'", "'accel-nodes'", "heteroaccel-exporter.heteroaccel-exporter:", "heteroaccel-exporter.accel-nodes:")

// renamed is what kustomize renders, with the names of namespaces that an installation
// has: kustomize itself cannot, since policies and arguments name them too.
func renamed(i installation, objects map[string]map[string]any) map[string]map[string]any {
	if i.namespace == "" {
		return objects
	}
	out := map[string]map[string]any{}
	for _, obj := range objects {
		meta := obj["metadata"].(map[string]any)
		rename("", obj)
		if obj["kind"] == "Namespace" && meta["name"] == "heteroaccel-exporter" {
			meta["name"] = "accel-nodes"
		}
		namespace, _ := meta["namespace"].(string)
		out[strings.Join([]string{obj["kind"].(string), namespace, meta["name"].(string)}, " ")] = obj
	}
	return out
}

func rename(key string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		for k, below := range v {
			v[k] = rename(k, below)
		}
	case []any:
		for i := range v {
			if slices.Contains(v, any("kube-system")) && v[i] == "heteroaccel-exporter" {
				v[i] = "accel-nodes"
			}
			v[i] = rename(key, v[i])
		}
	case string:
		if v == "heteroaccel-exporter" && (key == "namespace" || strings.HasSuffix(key, "metadata.name")) {
			return "accel-nodes"
		}
		return otherNames.Replace(v)
	}
	return value
}
