package stack

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Crashes are the panics and data races in the logs of the project's programs,
// those that were killed and started again included.
func (s *Stack) Crashes() (found []string) {
	for _, p := range s.Processes() {
		if name, _, _ := strings.Cut(p.Name(), "-"); !slices.Contains(programs, name) {
			continue
		}
		log, err := os.ReadFile(p.Log())
		if err != nil {
			found = append(found, fmt.Sprintf("the log of the %s could not be read: %v", p.Name(), err))
			continue
		}
		for _, bad := range []string{"DATA RACE", "panic:", `"panic"`} {
			if i := bytes.Index(log, []byte(bad)); i >= 0 {
				found = append(found, fmt.Sprintf("the %s's log has %q:\n%s", p.Name(), bad, log[max(0, i-500):min(len(log), i+2000)]))
			}
		}
	}
	return found
}
