package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// tree is the files of a layer, in memory, by path without a leading slash.
// Owner is always root and time always the epoch, so that the same files make
// the same layer.
type tree struct {
	entries map[string]entry
}

type entry struct {
	kind byte // as in a tar header
	mode int64
	link string
	data []byte
}

func newTree() *tree { return &tree{entries: map[string]entry{}} }

// clean makes the path of an entry of one in an archive or one that was
// written by hand.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// add puts a file at name, in place of what is there.
func (t *tree) add(name string, mode fs.FileMode, data []byte) {
	t.entries[clean(name)] = entry{kind: tar.TypeReg, mode: int64(mode.Perm()), data: data}
}

// directory puts a directory at name. Those above a file need not be put.
func (t *tree) directory(name string, mode int64) {
	t.entries[clean(name)] = entry{kind: tar.TypeDir, mode: mode}
}

// symlink puts a symbolic link to target at name.
func (t *tree) symlink(target, name string) {
	t.entries[clean(name)] = entry{kind: tar.TypeSymlink, mode: 0o777, link: target}
}

// addFile puts a file of the host at name.
func (t *tree) addFile(name string, mode fs.FileMode, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	t.add(name, mode, data)
	return nil
}

// addTar puts the entries of a tar whose path keep holds for. Device nodes are
// left out: a container gets those from its runtime.
func (t *tree) addTar(r io.Reader, keep func(name string) bool) error {
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := clean(h.Name)
		if name == "" || !keep(name) {
			continue
		}
		e := entry{kind: h.Typeflag, mode: h.Mode, link: h.Linkname}
		switch h.Typeflag {
		case tar.TypeReg:
			if e.data, err = io.ReadAll(in); err != nil {
				return err
			}
		case tar.TypeLink:
			e.link = clean(h.Linkname)
		case tar.TypeDir, tar.TypeSymlink:
		default:
			continue
		}
		t.entries[name] = e
	}
}

// write writes the tree as a tar: directories before what is in them, hard
// links after what they are links to.
func (t *tree) write(w io.Writer) error {
	all := maps.Clone(t.entries)
	for name := range t.entries {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = entry{kind: tar.TypeDir, mode: 0o755}
			}
		}
	}
	names := slices.Sorted(maps.Keys(all))
	out := tar.NewWriter(w)
	for _, links := range []bool{false, true} {
		for _, name := range names {
			e := all[name]
			if (e.kind == tar.TypeLink) != links {
				continue
			}
			if links && all[e.link].kind != tar.TypeReg {
				return fmt.Errorf("%s is a link to %s, which is not there", name, e.link)
			}
			h := &tar.Header{Typeflag: e.kind, Name: name, Linkname: e.link, Mode: e.mode, Size: int64(len(e.data))}
			if e.kind == tar.TypeDir {
				h.Name += "/"
			}
			if err := out.WriteHeader(h); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if _, err := out.Write(e.data); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return out.Close()
}
