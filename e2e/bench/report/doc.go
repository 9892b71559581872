// Package report is the arithmetic of the throughput benchmark: ratios of what was
// measured in turns, their spread, tables, and whether one revision is slower than
// another.
//
// What rounds measured enters; sentences and tables leave. It is pure: it reads no clock,
// no process and no cluster. Machines are shared and noisy, so nothing here compares two
// numbers that were not measured one right after the other.
package report
