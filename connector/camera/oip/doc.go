// Package oip speaks the Open Inference Protocol, version 2, over REST, with the
// binary tensors that KServe and Triton add to it.
//
// Tensors enter as bytes, little-endian and row-major, and leave so. It knows
// nothing of images or sessions, and repeats no request.
//
// The protocol: https://github.com/kserve/open-inference-protocol. The binary
// tensors: docs/protocol/extension_binary_data.md of triton-inference-server/server.
package oip
