// Package status keeps the status of every InferenceProfile up to date: whether it is
// valid, on how many nodes its variants could run, and what became of their images.
//
// What it says of nodes is the inventory's, what it says of images the kubelets': a
// container of a pod that the webhook admitted, with the image of the variant that it was
// given. Every replica of the webhook collects it, and the one that leads writes.
package status
