package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/template"
)

// instructions are what a bundle says of its installation.
//
//go:embed bundle.md.tmpl
var instructions string

// readme is the instructions of a bundle.
func readme(version, chartVersion string, p platform) ([]byte, error) {
	t, err := template.New("bundle").Option("missingkey=error").Parse(instructions)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, map[string]string{"Version": version, "Chart": chartVersion, "Platform": p.String(), "Image": repository, "Archive": imageFile(version, p)})
	return out.Bytes(), err
}

// checksums are the SHA-256 sums of the files of a directory.
func checksums(dir string) ([]byte, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, f := range list {
		files[f.Name()] = filepath.Join(dir, f.Name())
	}
	return sumsOf(files)
}

// sumsOf are the SHA-256 sums of files by their names, as sha256sum writes and checks
// them.
func sumsOf(files map[string]string) ([]byte, error) {
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sum, err := digest(files[name])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "%s  %s\n", sum, name)
	}
	return out.Bytes(), nil
}

// sums is the file of the checksums.
const sums = "SHA256SUMS"

// digest is the SHA-256 sum of a file, in hexadecimal.
func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
