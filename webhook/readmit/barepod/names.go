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

// takeName returns a name that is free, if a namespace may have one more.
func (r *Recreator) takeName(namespace string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := 0
	for _, of := range r.names {
		if of == namespace {
			taken++
		}
	}
	if taken >= recordsPerNamespace {
		return "", false
	}
	for _, name := range RecordNames {
		if of, known := r.names[name]; known && of == "" {
			r.names[name] = namespace
			return name, true
		}
	}
	return "", false
}

func (r *Recreator) freeName(name string) { r.markName(name, "") }

// markName notes the namespace of the record that a name is taken by, "" for none.
func (r *Recreator) markName(name, namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[name] = namespace
}
