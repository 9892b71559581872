// Package v1alpha1 is the heteroaccel.io/v1alpha1 API: the InferenceProfile.
//
// Only types and their registration live here. Their markers are the schema:
// the CRD under deploy/base/crd is generated from them and refuses what would
// fail later, so that whatever the API server hands out can be decoded and
// used. Nothing in this package reads or decides.
//
// +kubebuilder:object:generate=true
// +groupName=heteroaccel.io
package v1alpha1

//go:generate go tool controller-gen object crd:allowDangerousTypes=true paths=. output:object:dir=. output:crd:dir=../../../deploy/base/crd
