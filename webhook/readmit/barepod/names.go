package barepod

import "fmt"

// RecordNames are the names of the Secrets that keep records; RBAC names them
// too, which is why they are fixed and few.
var RecordNames = func() (names []string) {
	for i := range 32 {
		names = append(names, fmt.Sprintf("heteroaccel-readmission-%d", i))
	}
	return names
}()
