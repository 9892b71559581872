package chart

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"heteroaccel.io/e2e/cache"
	"heteroaccel.io/e2e/cluster"
)

// install fills a directory of the cache, whose key changes with the files, paths below
// the repository's root, and with the compiler.
func install(name string, files []string, fill func(dir string) error) (string, error) {
	root, err := cluster.Root()
	if err != nil {
		return "", err
	}
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
	return cache.Dir(fmt.Sprintf("%s-%.6x", name, sum.Sum(nil)), fill)
}

// output runs a program and returns what it prints; the error has what it complains of.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}
