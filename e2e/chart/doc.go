// Package chart has the tools that test the Helm chart: Helm itself, kubeconform with the
// schemas of Kubernetes' objects, kube-score and helm-docs.
//
// A chart's directory enters, or manifests; what Helm renders leaves, or what a tool says
// of them. Each is compiled from its published module, or installed from Python's package
// index with its hash, once into the user's cache. It reaches no cluster.
package chart

//go:generate go test -run ^TestDocs$ -count 1 . -update
