package profile

// Nearest returns the known name most similar to name, for a "did you mean"; ""
// when more than a third of name would have to change.
func (s *Store) Nearest(name string) string {
	best, least := "", len(name)/3+1
	for _, known := range s.Names() {
		if d := distance(name, known); d < least {
			best, least = known, d
		}
	}
	return best
}

// distance is the Levenshtein distance: how many bytes have to be inserted,
// deleted or replaced to turn a into b.
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
