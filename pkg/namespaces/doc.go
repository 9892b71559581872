// Package namespaces says which inferences the pods of a namespace may ask for.
//
// Namespaces enter, from the API server's feed: their labels, and the annotation by
// which a namespace lists the inferences that it allows. Whether a namespace may use
// a profile leaves, as an error that is a sentence for whoever asked. Both sides
// choose: the namespace by its annotation, the profile by its selector of namespaces.
// The package reads nothing by itself and decides nothing else: what the API server
// would refuse is in pkg/admission.
package namespaces
