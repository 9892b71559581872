package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entry is one file of an archive: its bytes, or else a file of the host.
type entry struct {
	name string // a path with slashes
	mode os.FileMode
	data []byte
	file string
}

// open returns an entry's content, and its size in bytes.
func (e entry) open() (io.ReadCloser, int64, error) {
	if e.file == "" {
		return io.NopCloser(strings.NewReader(string(e.data))), int64(len(e.data)), nil
	}
	f, err := os.Open(e.file)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// writeArchive writes entries in the order of their names to a file, in the format of
// its extension: .tar, .tar.gz, .tgz or .zip. Owners are root and times are at, so
// that the same entries always make the same archive.
func writeArchive(path string, entries []entry, at time.Time) error {
	entries = slices.SortedFunc(slices.Values(entries), func(a, b entry) int { return strings.Compare(a.name, b.name) })
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	switch {
	case strings.HasSuffix(path, ".zip"):
		err = writeZip(out, entries, at)
	case strings.HasSuffix(path, ".tar"):
		err = writeTar(out, entries, at)
	case strings.HasSuffix(path, ".tar.gz"), strings.HasSuffix(path, ".tgz"):
		z := gzip.NewWriter(out)
		if err = writeTar(z, entries, at); err == nil {
			err = z.Close()
		}
	default:
		err = fmt.Errorf("no format is known for it")
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

func writeTar(w io.Writer, entries []entry, at time.Time) error {
	t := tar.NewWriter(w)
	for _, e := range entries {
		in, size, err := e.open()
		if err != nil {
			return err
		}
		err = t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: int64(e.mode), Size: size, ModTime: at})
		if err == nil {
			_, err = io.Copy(t, in)
		}
		in.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return t.Close()
}

func writeZip(w io.Writer, entries []entry, at time.Time) error {
	z := zip.NewWriter(w)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: at.UTC()}
		h.SetMode(e.mode)
		out, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		in, _, err := e.open()
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		in.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return z.Close()
}
