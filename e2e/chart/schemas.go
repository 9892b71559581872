package chart

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"heteroaccel.io/e2e/cache"
	"heteroaccel.io/e2e/cluster"
)

// requirements pins the wheel that has the schemas, from the repository's root.
const requirements = "e2e/chart/requirements.txt"

// Versions are those of Kubernetes whose schemas are kept: of each minor version that the
// chart allows.
var Versions = []string{"1.35.0", "1.36.0", "1.37.0"}

// ofWheel is where the wheel has the schemas that allow no unknown field.
const ofWheel = "kubernetes_validate/kubernetes-json-schema/v%s-local-strict"

// installSchemas unpacks the schemas into a directory "schemas", one below it for each
// version.
func installSchemas(ctx context.Context, dir string) error {
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	pinned, err := os.ReadFile(filepath.Join(root, requirements))
	if err != nil {
		return fmt.Errorf("read the schemas' version: %w", err)
	}
	venv, unpacked := filepath.Join(dir, "venv"), filepath.Join(dir, "wheel")
	if err := cache.Wheels(ctx, venv, pinned, "--no-deps", "--no-compile", "--target", unpacked); err != nil {
		return fmt.Errorf("install the schemas: %w", err)
	}
	for _, version := range Versions {
		if err := copySchemas(filepath.Join(unpacked, fmt.Sprintf(ofWheel, version)), filepath.Join(dir, "schemas", "v"+version)); err != nil {
			return fmt.Errorf("unpack the schemas of %s: %w", version, err)
		}
	}
	for _, d := range []string{venv, unpacked} {
		if err := os.RemoveAll(d); err != nil {
			return fmt.Errorf("remove what the schemas came in: %w", err)
		}
	}
	return nil
}

// address is where a schema says that it is served, which is nowhere.
var address = regexp.MustCompile(`,\n  "\$id": "[^"]*"`)

// local makes schemas refer to one another by file.
func local(schema []byte) []byte {
	return bytes.ReplaceAll(address.ReplaceAll(schema, nil), []byte(`"/api/_definitions.json#`), []byte(`"_definitions.json#`))
}

func copySchemas(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), local(data), 0o644); err != nil {
			return err
		}
	}
	return nil
}
