// Package image makes container images without a registry and without a
// container runtime.
//
// What enters is what an image is made of: static binaries of this project,
// Debian packages, Python wheels, files. What leaves is one archive for each
// image, under all names it goes by, as
//
//	ctr -n k8s.io images import PATH
//
// takes it. A name without a registry, such as heteroaccel/pause:v0.1.0, gets
// the container runtime's default one on import, just as the same name does in
// a pod, so that the two meet.
//
// The stages, each with a file:
//
//	debian.go, wheel.go, static.go  fetch or compile, and read into a tree
//	tree.go                         files in memory → a tar that is always the same
//	layer.go                        tree → a compressed layer in the cache
//	archive.go                      layers, configuration, names → an archive
//	programs.go, prometheus.go, python.go, inference.go, client.go, controlplane.go  what each image consists of
//
// Layers and archives are kept below the user's cache directory under a digest
// of all that determines them, so that a second call takes a moment and a
// changed script costs no download. They are written under a temporary name
// and renamed: a killed build leaves nothing that looks whole. Packages and
// wheels come from wherever the user's own apt and pip are set up to fetch
// from. Nothing here needs root or changes the host outside the cache: no
// package is installed, no maintainer script runs.
package image
