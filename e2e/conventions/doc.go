// Package conventions holds no code: its tests are the rules of the tree, such
// as who may import whom.
package conventions
