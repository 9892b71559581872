// Release makes everything that a release consists of, with no registry and no
// container runtime: images, manifests, chart, command line program, software bill of
// materials, bundles for sites without a network, and checksums.
//
// The working tree enters; files in one directory leave. The version is the chart's
// appVersion, and all times are the last commit's, or SOURCE_DATE_EPOCH: two builds
// of one commit with one version of Go are the same, bit for bit. It publishes
// nothing.
//
//	assemble.go   the whole, file by file
//	compile.go    static programs for each platform
//	image.go      an image for each platform, and the index of both
//	manifests.go  rendered kustomizations, and their sources
//	krew.go       the manifest of the kubectl plugin
//	sbom.go       what was compiled in, as SPDX
//	bundle.go     everything that a node without a network needs
//	archive.go    tar, tar.gz and zip that are always the same
package main
