// Package barepod recreates pods that have no controller.
package barepod
