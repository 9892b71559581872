package cdi

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"tags.cncf.io/container-device-interface/pkg/cdi"
)

// extension is that of our files.
const extension = ".json"

// Directory has the files of the node's claims. Several processes may use one.
type Directory struct {
	path  string
	files *cdi.Cache
}

// NewDirectory returns the directory at a path that the container runtime reads. It is
// created with the first file.
func NewDirectory(path string) (*Directory, error) {
	files, err := cdi.NewCache(cdi.WithSpecDirs(path), cdi.WithAutoRefresh(false))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &Directory{path, files}, nil
}

// fileName is that of a claim's file.
func fileName(uid types.UID) string {
	return cdi.GenerateTransientSpecName(vendor, class, string(uid)) + extension
}

// Write writes a claim's file in place of a former one.
func (d *Directory) Write(c Claim) error {
	spec, err := Spec(c)
	if err != nil {
		return err
	}
	if err := d.files.WriteSpec(spec, fileName(c.UID)); err != nil {
		return fmt.Errorf("write the CDI file of claim %s/%s: %w", c.Namespace, c.Name, err)
	}
	return nil
}

// Remove removes a claim's file; there need be none.
func (d *Directory) Remove(uid types.UID) error {
	if err := d.files.RemoveSpec(fileName(uid)); err != nil {
		return fmt.Errorf("remove the CDI file of claim %s: %w", uid, err)
	}
	return nil
}

// Claims reads the claims that have a file. A file that cannot be read is an error,
// which hides no other. It is returned as a claim that has only a UID, so that it can
// be removed.
func (d *Directory) Claims() ([]Claim, error) {
	entries, err := os.ReadDir(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list CDI files: %w", err)
	}
	var out []Claim
	var errs []error
	prefix := strings.TrimSuffix(fileName(""), extension)
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), prefix)
		uid, whole := strings.CutSuffix(rest, extension)
		if !ours || !whole || uid == "" {
			continue
		}
		c, err := d.read(e.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist): // another process removed it
			continue
		case err != nil:
			errs = append(errs, fmt.Errorf("read the CDI file %s: %w", e.Name(), err))
			c = Claim{UID: types.UID(uid)}
		}
		out = append(out, c)
	}
	return out, errors.Join(errs...)
}

// Claim reads the claim that has a file; ok is false for one that has none.
func (d *Directory) Claim(uid types.UID) (c Claim, ok bool, err error) {
	c, err = d.read(fileName(uid))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Claim{}, false, nil
	case err != nil:
		return Claim{}, false, fmt.Errorf("read the CDI file of claim %s: %w", uid, err)
	}
	return c, true, nil
}

func (d *Directory) read(name string) (Claim, error) {
	spec, err := cdi.ReadSpec(filepath.Join(d.path, name), 0)
	if err != nil {
		return Claim{}, err
	}
	return claimOf(spec.Spec)
}
