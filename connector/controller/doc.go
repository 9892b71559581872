// Package controller keeps the sessions and their servers in the API server.
//
// Leases and pods of one namespace are watched; what package session plans is
// carried out: Leases are written, pods created and deleted. One replica, the
// leader, carries out plans; the others read, and create and end sessions.
// Renewals are gathered and written a few times a minute. The package knows
// nothing of HTTP and never touches another namespace.
package controller
