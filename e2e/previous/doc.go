// Package previous is the revision of the project that tests upgrade from.
//
// Its sources enter, an archive that keep.sh made of that revision and that a clone
// without history has too; its tree leaves, with its manifests, its profiles and its
// compiled programs, in the user's cache. Nothing of it is linked into anything.
package previous
