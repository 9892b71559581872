package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// debian is a layer of Debian packages and what they depend on, in the
// versions that the host's own sources offer when the layer is made. Packages
// are unpacked and not installed: none of their scripts runs.
type debian struct {
	// Packages are wanted; apt-get finds what they depend on.
	Packages []string
	// Unpack are patterns of the packages that are unpacked: many others are
	// there for installing alone.
	Unpack []string
	// Files are path prefixes, without a leading slash, of all that is taken
	// of some packages; of the others everything is.
	Files map[string][]string
	// Prune are path prefixes of what is left out of every package.
	Prune []string
}

// pruned is left out of every package: what people read.
var pruned = []string{
	"usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/lintian/", "usr/share/bug/",
	"usr/share/bash-completion/", "usr/share/doc-base/", "usr/share/menu/", "usr/share/gcc/", "usr/share/gdb/",
	"usr/lib/x86_64-linux-gnu/gconv/", "usr/lib/aarch64-linux-gnu/gconv/", "etc/init.d/", "lib/systemd/", "usr/lib/systemd/",
}

// aptConfig is the configuration under which apt-get keeps to dir and leaves
// the host alone: an empty list of what is installed, lists and archives of
// its own, and none of the host's hooks.
func aptConfig(dir string) string {
	return fmt.Sprintf(`Dir::State %[1]q;
Dir::State::status %[2]q;
Dir::State::lists %[3]q;
Dir::Cache %[4]q;
Dir::Cache::archives %[5]q;
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
`, dir, filepath.Join(dir, "status"), filepath.Join(dir, "lists"), dir, filepath.Join(dir, "archives"))
}

// layer is the layer of the packages.
func (d debian) layer(name string) layer {
	return layer{name: name, from: []any{d, pruned}, fill: d.fill}
}

func (d debian) fill(ctx context.Context, work string) (*tree, error) {
	for _, dir := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(work, dir), 0o755); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(work, "apt.conf")
	if err := os.WriteFile(filepath.Join(work, "status"), nil, 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, []byte(aptConfig(work)), 0o644); err != nil {
		return nil, err
	}
	if err := run(ctx, work, nil, "apt-get", "-c", config, "-q", "update"); err != nil {
		return nil, err
	}
	install := append([]string{"-c", config, "-q", "--download-only", "-y", "--no-install-recommends", "install"}, d.Packages...)
	if err := run(ctx, work, nil, "apt-get", install...); err != nil {
		return nil, err
	}
	archives, err := filepath.Glob(filepath.Join(work, "archives", "*.deb"))
	if err != nil {
		return nil, err
	}
	if len(archives) == 0 {
		return nil, fmt.Errorf("apt-get downloaded nothing for %s", strings.Join(d.Packages, ", "))
	}
	t := newTree()
	for _, archive := range archives {
		pkg, _, _ := strings.Cut(filepath.Base(archive), "_")
		if !slices.ContainsFunc(d.Unpack, func(pattern string) bool { return matches(pattern, pkg) }) {
			continue
		}
		if err := unpack(ctx, t, archive, func(name string) bool { return d.keeps(pkg, name) }); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", filepath.Base(archive), err)
		}
	}
	return t, nil
}

// matches reports whether a package's name is of a pattern, as a shell has it.
func matches(pattern, pkg string) bool {
	ok, err := path.Match(pattern, pkg)
	return err == nil && ok
}

// keeps reports whether the layer has what a package has at name.
func (d debian) keeps(pkg, name string) bool {
	below := func(prefix string) bool { return strings.HasPrefix(name, prefix) || name+"/" == prefix }
	if slices.ContainsFunc(pruned, below) || slices.ContainsFunc(d.Prune, below) {
		return false
	}
	files, some := d.Files[pkg]
	return !some || slices.ContainsFunc(files, below)
}

// unpack puts the files of a package into a tree.
func unpack(ctx context.Context, t *tree, archive string, keep func(string) bool) error {
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, filepath.Dir(archive), w, "dpkg-deb", "--fsys-tarfile", archive)
		w.CloseWithError(err)
		ended <- err
	}()
	err := t.addTar(r, keep)
	if err == nil {
		_, err = io.Copy(io.Discard, r) // the padding after the tar's end
	}
	r.CloseWithError(err)
	if failed := <-ended; failed != nil {
		return failed
	}
	return err
}
