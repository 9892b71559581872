// Package dra counts the devices of Dynamic Resource Allocation for an inventory.
//
// ResourceSlices, DeviceClasses, DeviceTaintRules and ResourceClaims enter through Set
// and Delete methods, in any order. The slots of each node by DeviceClass, and what each
// allocated claim takes of them, leave for the inventory. It does no I/O, chooses no
// device and reads no pod; what anybody can write of a claim without kube-scheduler
// having allocated it is not kept.
//
//	ResourceSlices ──▶ pools: complete, newest generation ──▶ devices ─┐
//	DeviceClasses ───▶ which devices they select, by CEL ──────────────┼─▶ Slots of a node
//	DeviceTaintRules ▶ which devices get no new claim ─────────────────┘
//	ResourceClaims ──▶ what is allocated ─────────────────────────────────▶ Allocation
//
// A device has as many slots as requests of its default size fit, one if it is not
// shared; one that is shared without a capacity has no end of them. A claim that asked
// for more takes as many slots as that is worth, rounded up. A device that several
// classes select counts for each, and a claim takes it from each.
//
// Not counted, so that no pod is sent there by us:
//
//   - devices of slices that are not of one node: with a node selector, for all nodes,
//     or with a selection for each device
//   - devices of a pool that is not complete, or names a device twice
//
// Counted as if it were otherwise, until kube-scheduler's verdict corrects it:
//
//   - devices that share counters count as if they did not: once one of them is
//     allocated, others that look free may not be
//   - what a class's devices need to be bound (binding conditions), and constraints among
//     the devices of a claim
//
// The selectors are evaluated as kube-scheduler does, with its library and cost limit,
// once for each device and class. One that is invalid, or fails for a device, selects
// nothing. Taints and their rules are three comparisons of our own: the tracker of that
// library keeps every slice twice, as a whole.
package dra
