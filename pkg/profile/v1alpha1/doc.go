// Package v1alpha1 is the heteroaccel.io/v1alpha1 API: the InferenceProfile.
//
// It has only the types and their registration. The CRD under deploy/base/crd is
// generated from their comments and markers; its schema refuses what would fail
// later, so that whatever the API server returns can be decoded and used. Nothing
// in this package reads or decides.
//
// +kubebuilder:object:generate=true
// +groupName=heteroaccel.io
package v1alpha1

//go:generate go tool controller-gen object crd:allowDangerousTypes=true paths=. output:object:dir=. output:crd:dir=../../../deploy/base/crd
