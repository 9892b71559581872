package profile

// Nearest returns the known name that name was most likely meant to be, for a
// "did you mean"; "" when none is close: more than a third of it would have to
// change.
func (s *Store) Nearest(name string) string {
	best, least := "", len(name)/3+1
	for _, known := range s.Names() {
		if d := distance(name, known); d < least {
			best, least = known, d
		}
	}
	return best
}

// distance is Levenshtein's: how many letters have to be inserted, deleted or
// replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
