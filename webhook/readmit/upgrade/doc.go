// Package upgrade decides which servers are moved to a faster kind, and how often. A
// server's kind, what else it could run on, and what became of earlier moves enter; whether
// it moves, and where to, leaves. It calls no API.
package upgrade
