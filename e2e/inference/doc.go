// Package inference holds what two images consist of, for e2e/image to build
// them: Python programs, the wheels that they import, and what they read.
//
// heteroaccel/inference runs one of four real networks, the paper's four
// inferences, on the device that OpenVINO's -d flag names. It measures itself on
// made-up images and prints throughput and latency, or with --port serves the
// Open Inference Protocol; docs/inference-server.md describes it. Where OpenVINO
// has no such device it infers on the CPU and prints that it does. The image has
// OpenVINO's CPU plugin only: the others need a vendor's runtime beside them.
//
// heteroaccel/inference-client sends pictures to such servers with tritonclient
// and prints what they found.
//
// Models and pictures are taken out of wheels that carry them when the images
// are built; none is kept here.
package inference
