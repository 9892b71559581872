package profile

import "github.com/agnivade/levenshtein"

// Nearest returns the known name most similar to name, for a "did you mean"; ""
// when more than a third of name would have to change.
func (s *Store) Nearest(name string) string {
	best, least := "", len(name)/3+1
	for _, known := range s.Names() {
		if d := levenshtein.ComputeDistance(name, known); d < least {
			best, least = known, d
		}
	}
	return best
}
