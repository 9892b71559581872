package chart

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"

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
	return cache.Of(name, root, files, fill)
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
