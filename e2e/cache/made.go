package cache

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Made returns a directory for name whose key changes with the files, paths below root,
// and with the compiler; fill fills it as for Dir.
func Made(name, root string, files []string, fill func(dir string) error) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(root, f))
		if err != nil {
			return "", fmt.Errorf("read what %s is made from: %w", name, err)
		}
		fmt.Fprintln(sum, f, len(data))
		sum.Write(data)
	}
	return Dir(fmt.Sprintf("%s-%.6x", name, sum.Sum(nil)), fill)
}
