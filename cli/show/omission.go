package show

import "strings"

// omission begins the line of a page on what it leaves out.
const omission = "NOT SHOWN"

// CutOmission takes from a page, as the extender writes it for people, what it says that
// it leaves out.
func CutOmission(page string) (rest string, notes []string) {
	lines := strings.SplitAfter(page, "\n")
	var kept []string
	for _, line := range lines {
		if sentence, ok := strings.CutPrefix(line, omission); ok {
			notes = append(notes, strings.TrimSpace(sentence))
			continue
		}
		kept = append(kept, line)
	}
	if len(notes) == 0 {
		return page, nil
	}
	return strings.TrimRight(strings.Join(kept, ""), "\n") + "\n", notes
}
