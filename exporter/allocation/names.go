package allocation

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// names says which devices of the machine go by a name, by their indexes: those
// of which it is the id first.
type names struct {
	found []discovery.Device
	by    map[string][]int
}

func namesOf(found []discovery.Device) names {
	n := names{found, make(map[string][]int, 6*len(found))}
	add := func(name string, i int) {
		if !slices.Contains(n.by[name], i) {
			n.by[name] = append(n.by[name], i)
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

// of returns the device of a kind that goes by a name.
func (n names) of(kind accel.Kind, name string) (index int, ok bool) {
	for _, i := range n.by[name] {
		if n.found[i].Kind == kind {
			return i, true
		}
	}
	return 0, false
}

// meant returns the device that a plugin's id names. The kind that the name of
// the resource says comes first; but an id that names a device beyond doubt is
// that device, whatever its resource is called.
func (n names) meant(id string, kind accel.Kind) (index int, ok bool) {
	if i, ok := n.of(kind, id); ok {
		return i, true
	}
	spellings := spellings(id)
	for _, s := range spellings {
		if i, ok := n.of(kind, s); ok {
			return i, true
		}
	}
	for _, s := range spellings {
		if at := n.by[s]; len(at) > 0 && !vague.MatchString(s) {
			return at[0], true
		}
	}
	return 0, false
}

var (
	// node matches the kernel's name for a card, a render node or an accel
	// device, or its path, with what plugins put around it: card0-0,
	// /dev/accel/accel0, dri-renderD128.
	node = regexp.MustCompile(`^(?:/dev/)?(?:(?:dri|drm|accel)[/_-])?((?:card|renderD|accel)[0-9]+)(?:[-_:./].*)?$`)
	// function matches a PCI address in an id, with or without its domain.
	function = regexp.MustCompile(`(?:^|[^0-9A-Fa-f])(?:(?:0000)?([0-9A-Fa-f]{4})[-_:])?([0-9A-Fa-f]{2})[-_:]([0-9A-Fa-f]{2})[-_.]([0-7])(?:[^0-9A-Fa-f]|$)`)
	// uuid matches NVIDIA's name for a GPU, also in that of a part of it
	// (MIG-GPU-…/1/0).
	uuid = regexp.MustCompile(`GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	// numbered matches the number of a share at the end of an id.
	numbered = regexp.MustCompile(`[-_:./]+[0-9]+$`)
	// vague matches a name that others than the device may have as well, such
	// as the USB path 1-2.
	vague = regexp.MustCompile(`^[0-9.-]*$`)
	// exact matches what only one device of a machine can be called.
	exact = regexp.MustCompile(`^(?:(?:card|renderD|accel)[0-9]+|[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$`)
)

// spellings are the names of devices that an id of a plugin may stand for, the
// likeliest first: as it is, without its directory, without the number of a
// share, and what it has of a kernel's name, a PCI address or a UUID in it.
func spellings(id string) []string {
	out := append(make([]string, 0, 8), id, unshared(id))
	if name := nodeIn(id); name != "" {
		out = append(out, name)
	}
	if m := functionIn(id); m != nil {
		out = append(out, addressOf(m))
	}
	if strings.Contains(id, "GPU-") {
		out = append(out, uuid.FindString(id))
	}
	if strings.HasPrefix(id, "/") {
		out = append(out, path.Base(id))
	}
	shorter := id
	for range 2 {
		at := numbered.FindStringIndex(shorter)
		if at == nil {
			break
		}
		shorter = shorter[:at[0]]
		out = append(out, shorter)
	}
	return out
}

// nodeIn is the kernel's name for a device in an id, "" when there is none.
// That and the next look first whether there can be one: some plugins have
// thousands of ids.
func nodeIn(id string) string {
	if id == "" || !strings.ContainsRune("/acdr", rune(id[0])) {
		return ""
	}
	if m := node.FindStringSubmatch(id); m != nil {
		return m[1]
	}
	return ""
}

// functionIn are the parts of a PCI address in an id, as function has them.
func functionIn(id string) []string {
	if strings.Count(id, ":")+strings.Count(id, "-")+strings.Count(id, "_") == 0 {
		return nil
	}
	return function.FindStringSubmatch(id)
}

func addressOf(m []string) string {
	domain := m[1]
	if domain == "" {
		domain = "0000"
	}
	return strings.ToLower(domain + ":" + m[2] + ":" + m[3] + "." + m[4])
}

// plain is the name of the device that an id of a plugin is one share of: the
// kernel's where the id has one, else the id without the number of the share.
func plain(id string) string {
	if name := nodeIn(id); name != "" {
		return name
	}
	if m := functionIn(id); m != nil && m[1] != "" {
		return addressOf(m)
	}
	return unshared(id)
}
