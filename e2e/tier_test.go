//go:build !long

package e2e

// long is set in the tests that make test-all runs: also what takes minutes,
// such as every step of every race, or hundreds of pods.
const long = false
