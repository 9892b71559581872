package allocation

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// nameIndex finds discovered devices by name. Devices that have a name as their
// id are first.
type nameIndex struct {
	found  []discovery.Device
	byName map[string][]int // indexes into found
}

func newNameIndex(found []discovery.Device) nameIndex {
	n := nameIndex{found, make(map[string][]int, 6*len(found))}
	add := func(name string, i int) {
		if !slices.Contains(n.byName[name], i) {
			n.byName[name] = append(n.byName[name], i)
		}
	}
	for i, f := range found {
		add(f.ID, i)
	}
	for i, f := range found {
		for _, name := range f.Names {
			add(name, i)
		}
	}
	return n
}

// ofKind returns the device of a kind that has a name.
func (n nameIndex) ofKind(kind accel.Kind, name string) (index int, ok bool) {
	for _, i := range n.byName[name] {
		if n.found[i].Kind == kind {
			return i, true
		}
	}
	return 0, false
}

// lookup returns the device that a plugin's id names: of the kind that the
// resource's name says, else, if the id names one device for certain, that
// device, whatever the resource is called.
func (n nameIndex) lookup(id string, kind accel.Kind) (index int, ok bool) {
	if i, ok := n.ofKind(kind, id); ok {
		return i, true
	}
	candidates := candidateNames(id)
	for _, s := range candidates {
		if i, ok := n.ofKind(kind, s); ok {
			return i, true
		}
	}
	for _, s := range candidates {
		if at := n.byName[s]; len(at) > 0 && !vagueName.MatchString(s) {
			return at[0], true
		}
	}
	return 0, false
}

var (
	// nodePattern matches the kernel's name of a card, a render node or an
	// accel device, or its path, and what plugins put around it: card0-0,
	// /dev/accel/accel0, dri-renderD128.
	nodePattern = regexp.MustCompile(`^(?:/dev/)?(?:(?:dri|drm|accel)[/_-])?((?:card|renderD|accel)[0-9]+)(?:[-_:./].*)?$`)
	// addressPattern matches a PCI address in an id, with or without its domain.
	addressPattern = regexp.MustCompile(`(?:^|[^0-9A-Fa-f])(?:(?:0000)?([0-9A-Fa-f]{4})[-_:])?([0-9A-Fa-f]{2})[-_:]([0-9A-Fa-f]{2})[-_.]([0-7])(?:[^0-9A-Fa-f]|$)`)
	// uuid matches NVIDIA's name of a GPU, also within that of a part of it
	// (MIG-GPU-…/1/0).
	uuid = regexp.MustCompile(`GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	// shareNumber matches the number of a share at the end of an id.
	shareNumber = regexp.MustCompile(`[-_:./]+[0-9]+$`)
	// vagueName matches a name that something else may have too, such as the
	// USB path 1-2.
	vagueName = regexp.MustCompile(`^[0-9.-]*$`)
	// uniqueName matches a name that only one device of a machine can have.
	uniqueName = regexp.MustCompile(`^(?:(?:card|renderD|accel)[0-9]+|[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$`)
)

// candidateNames are the names of devices that a plugin's id may stand for, the
// likeliest first: the id itself, without its directory, without the number of a
// share, and a kernel's name, PCI address or UUID within it.
func candidateNames(id string) []string {
	out := append(make([]string, 0, 8), id, trimShare(id))
	if name := nodeName(id); name != "" {
		out = append(out, name)
	}
	if m := findAddress(id); m != nil {
		out = append(out, joinAddress(m))
	}
	if strings.Contains(id, "GPU-") {
		out = append(out, uuid.FindString(id))
	}
	if strings.HasPrefix(id, "/") {
		out = append(out, path.Base(id))
	}
	shorter := id
	for range 2 {
		at := shareNumber.FindStringIndex(shorter)
		if at == nil {
			break
		}
		shorter = shorter[:at[0]]
		out = append(out, shorter)
	}
	return out
}

// nodeName is the kernel's name of a device in an id, "" when there is none. It
// and findAddress first check whether there can be one: some plugins have
// thousands of ids.
func nodeName(id string) string {
	if id == "" || !strings.ContainsRune("/acdr", rune(id[0])) {
		return ""
	}
	if m := nodePattern.FindStringSubmatch(id); m != nil {
		return m[1]
	}
	return ""
}

// findAddress returns the parts of a PCI address in an id, as addressPattern has
// them.
func findAddress(id string) []string {
	if strings.Count(id, ":")+strings.Count(id, "-")+strings.Count(id, "_") == 0 {
		return nil
	}
	return addressPattern.FindStringSubmatch(id)
}

func joinAddress(m []string) string {
	domain := m[1]
	if domain == "" {
		domain = "0000"
	}
	return strings.ToLower(domain + ":" + m[2] + ":" + m[3] + "." + m[4])
}

// deviceName is the name of the device that a plugin's id is a share of: the
// kernel's if the id has one, else the id without the number of the share.
func deviceName(id string) string {
	if name := nodeName(id); name != "" {
		return name
	}
	if m := findAddress(id); m != nil && m[1] != "" {
		return joinAddress(m)
	}
	return trimShare(id)
}
