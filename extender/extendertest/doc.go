// Package extendertest builds the small clusters that tests of the extender
// work on. Nodes, devices, pods and telemetry enter as a test wants them; an
// inventory and profiles that hold them leave. Only tests import it.
package extendertest
