package deviceflag

import (
	"slices"
	"strings"

	"heteroaccel.io/pkg/profile"
)

// otherNames returns the places on the user's part of the command line that name
// other devices than variant v's.
func (l *CommandLine) otherNames(v *profile.Variant) []string {
	s := &nameSearch{profile: l.profile, device: v.Device}
	for _, list := range []*List{&l.Command, &l.Args} {
		edits, inserted := list.edits, list.inserted
		for i, word := range list.Words[:len(list.Words)-list.added] {
			if len(inserted) > 0 && inserted[0] == i {
				inserted = inserted[1:]
				continue
			}
			s.ours = s.ours[:0]
			for len(edits) > 0 && edits[0].Word == i {
				s.ours, edits = append(s.ours, edits[0].edit), edits[1:]
			}
			s.quoted = true
			s.scan(word)
			s.before = word
		}
	}
	return s.found
}

// nameSearch finds devices that a text names as values: behind "=" or ":" or a
// flag of any name, or in quotes.
type nameSearch struct {
	profile *profile.Profile
	// device is the variant's, and right the names that stand for it, once one was looked
	// at.
	device string
	right  []string
	// before is the word before the text, when that is a word of a line.
	before string
	// ours are the parts of the text that we wrote, ascending.
	ours []edit
	// quoted lets devices count that stand in quotes alone, or behind a flag in
	// a list.
	quoted bool
	found  []string
}

// others reports whether s is a device, or a list of devices, and not all of
// them are right.
func (s *nameSearch) others(text string, modeToo bool) bool {
	var room [4]string
	for _, name := range namedDevices(room[:0], text, s.profile, modeToo) {
		if !s.isRight(name) {
			return true
		}
	}
	return false
}

// isRight reports whether a name is no other device than the variant's.
func (s *nameSearch) isRight(name string) bool {
	if s.right == nil {
		s.right = append(namedDevices(nil, s.device, s.profile, true), strings.ToUpper(s.device))
	}
	return slices.Contains(s.right, name)
}

// scan adds the places in text to what was found, in time proportional to its
// length.
func (s *nameSearch) scan(text string) {
	if s.before != "" && strings.HasPrefix(s.before, "-") && !strings.ContainsAny(s.before, "= \t\n") &&
		s.others(text, namesDevice(strings.TrimLeft(s.before, "-"))) && !s.written(0) {
		s.find(s.before + " " + text)
		return
	}
	key, keyEnd := 0, 0 // the token before
	for i := 0; i < len(text); {
		if !inToken[text[i]] {
			i++
			continue
		}
		from := i
		for i < len(text) && inToken[text[i]] {
			i++
		}
		if len(s.found) < maxKept && !s.written(from) {
			s.token(text, key, keyEnd, from, i)
		}
		if strings.Trim(text[from:i], ":,") != "" { // of "a": "b" the key is a
			key, keyEnd = from, i
		}
	}
}

// token looks at one token, text[from:to], behind another.
func (s *nameSearch) token(text string, key, keyEnd, from, to int) {
	value := text[from:to]
	if flag, ok := s.attached(value); ok {
		s.find(flag)
		return
	}
	value = strings.TrimRight(value, ":,.)")
	if !s.others(value, true) && (to >= len(text) || text[to] != '=') {
		return // as hardly any word does
	}
	if n := strings.IndexAny(value, ":,"); n > 0 && to < len(text) && text[to] == '=' {
		value = value[:n] // device=GPU:labels=x
	}
	end := from + len(value)
	if n := strings.LastIndexAny(text[key:max(key, keyEnd-1)], "({:,"); n >= 0 {
		key += n + 1 // run(device='GPU', model=x:device=GPU
	}
	name := text[key:keyEnd]
	between := text[keyEnd:from]
	if len(between) > 16 {
		between = between[len(between)-16:]
	}
	modeToo := strings.Contains(strings.ToUpper(name), "DEVICE")
	if !s.others(value, modeToo) || strings.ToUpper(value) != value && !tellsDevice(name) {
		return
	}
	isValue := strings.ContainsRune(between, '=') || strings.ContainsRune(between, ':') || strings.HasSuffix(name, ":")
	afterFlag := strings.HasPrefix(name, "-") && strings.Trim(between, " \t\\\r\n\"'") == ""
	inQuotes := s.quoted && from > 0 && end < len(text) && isQuote(text[from-1]) && text[end] == text[from-1]
	if isValue || afterFlag || inQuotes {
		if from-key > 60 || strings.ContainsAny(between, ";|&\n") || !isValue && !afterFlag {
			key = from
		}
		if end < len(text) && isQuote(text[end]) { // with the quotes of each
			end++
			if key > 0 && isQuote(text[key-1]) {
				key--
			}
		}
		s.find(text[key:end])
	}
}

// attached reports whether a token is a short device flag and another device
// in one word, -dGPU, as some programs read it.
func (s *nameSearch) attached(token string) (string, bool) {
	for _, f := range s.profile.DeviceFlags {
		if rest, ok := strings.CutPrefix(token, f); ok && len(f) == 2 && f[0] == '-' && s.others(rest, false) {
			return token, true
		}
	}
	return "", false
}

// find adds a place, once.
func (s *nameSearch) find(place string) {
	for _, p := range s.found {
		if p == place {
			return
		}
	}
	s.found = append(s.found, place)
}

// written reports whether we wrote what begins at a place.
func (s *nameSearch) written(at int) bool {
	for len(s.ours) > 0 && s.ours[0].At+s.ours[0].Len <= at {
		s.ours = s.ours[1:]
	}
	return len(s.ours) > 0 && s.ours[0].At <= at
}

// tellsDevice reports whether something of this name may hold a device: cpu in
// small letters is a word of many programs.
func tellsDevice(name string) bool {
	name = strings.ToUpper(name)
	for _, part := range []string{"DEV", "TARGET", "ACCEL", "BACKEND", "HARDWARE", "-D"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// inToken are the bytes that can be part of a name, a flag, a path or a device.
var inToken = func() (in [256]bool) {
	for i := range in {
		c := byte(i)
		in[i] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("_.:,()-/${}", c) >= 0 || c >= 0x80
	}
	return in
}()
