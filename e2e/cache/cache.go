package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Dir returns the directory of a key, which fill has filled now or some time
// before. Of two that fill it at once the second's work is thrown away; nothing may
// depend on the directory's name while it is filled.
func Dir(key string, fill func(dir string) error) (string, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: set XDG_CACHE_HOME or HOME: %w", err)
	}
	parent := filepath.Join(user, "heteroaccel")
	dir := filepath.Join(parent, key)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	// Under another name until it is complete.
	temp, err := os.MkdirTemp(parent, key+"-*.part")
	if err != nil {
		return "", fmt.Errorf("make the directory of %s: %w", key, err)
	}
	defer os.RemoveAll(temp)
	if err := fill(temp); err != nil {
		return "", err
	}
	if err := os.Rename(temp, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("keep %s: %w", key, err)
	}
	return dir, nil
}

// Of is Dir for what is made from files, paths below root, and by this compiler: the key
// is the name, and what changes with them.
func Of(name, root string, files []string, fill func(dir string) error) (string, error) {
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

// Wheels installs Python packages of a file of requirements with hashes into a
// virtual environment in dir, by pip with further flags. The system's Python may
// have no pip, so that of the environment is used.
func Wheels(ctx context.Context, dir string, requirements []byte, flags ...string) error {
	if out, err := exec.CommandContext(ctx, "python3", "-m", "venv", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("make a virtual environment; python3 needs its venv, on Debian apt-get install python3-venv: %w: %s", err, out)
	}
	pinned := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(pinned, requirements, 0o644); err != nil {
		return fmt.Errorf("write the requirements: %w", err)
	}
	args := append([]string{"-m", "pip", "install", "--quiet", "--only-binary=:all:", "--require-hashes", "-r", pinned}, flags...)
	if out, err := exec.CommandContext(ctx, Python(dir), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("install with pip: %w: %s", err, out)
	}
	return nil
}

// Python is the interpreter of the virtual environment in dir.
func Python(dir string) string { return filepath.Join(dir, "bin", "python") }
