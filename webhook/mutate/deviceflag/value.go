package deviceflag

import (
	"strings"

	"heteroaccel.io/pkg/accel"
)

// value is a device name within a string.
type value struct {
	from, to int // the name itself
	end      int // where the words that belong to it end: behind its quotes
	bare     bool
}

// valueAt finds the value of the flag s[flag:i], which may be a device.
func valueAt(s string, flag, i int, key bool) (v value, ok bool) {
	assigned := i < len(s) && s[i] == '='
	if assigned {
		i++
	} else {
		if flag > 0 && i < len(s) && isQuote(s[i]) && s[flag-1] == s[i] {
			i++ // "-d" "GPU"
		}
		start := i
		if i = skipBlanks(s, i); i == start {
			return value{}, false
		}
	}
	option := false // of several in one word: device=GPU:labels=x, device=GPU,x=y
	if quote := quoteAt(s, i); quote != "" {
		v.from = i + len(quote)
		n := strings.Index(s[v.from:min(v.from+maxDeviceLength, len(s))], quote)
		if n < 0 {
			return value{}, false
		}
		v.to = v.from + n
		v.end = v.to + len(quote)
		option = key && v.end < len(s) && (s[v.end] == ',' || s[v.end] == ':')
	} else {
		v.bare = true
		v.from, v.to = i, bareEnd(s, i)
		if n := optionEnd(s[v.from:v.to]); key && n >= 0 {
			v.to, option = v.from+n, true
		}
		v.end = v.to
	}
	if !option && !endsWord(s, v.end) {
		return value{}, false
	}
	// In app "--device=GPU", the quotes are the word's, not the value's.
	if assigned && v.bare && flag > 0 && isQuote(s[flag-1]) && v.end < len(s) && s[v.end] == s[flag-1] &&
		(flag == 1 || isBlank(s[flag-2])) {
		v.end++
	}
	return v, true
}

// optionEnd returns where in a bare value another key=value begins, at the
// separator before it, or -1.
func optionEnd(s string) int {
	equals := strings.IndexByte(s, '=')
	if equals < 0 {
		return -1
	}
	return strings.LastIndexAny(s[:equals], ",:")
}

// deviceEnvAt reports whether the value of the flag s[flag:i] is the variable
// HETEROACCEL_DEVICE, $X, ${X…} or $(X), in quotes or not, and where it ends.
func deviceEnvAt(s string, flag, i int) (end int, ok bool) {
	if i < len(s) && s[i] == '=' {
		i++
	} else {
		if flag > 0 && i < len(s) && isQuote(s[i]) && s[flag-1] == s[i] {
			i++
		}
		i = skipBlanks(s, i)
	}
	quote := quoteAt(s, i)
	i += len(quote)
	for _, form := range [...][2]string{{"${" + accel.DeviceEnv, "}"}, {"$(" + accel.DeviceEnv, ")"}, {"$" + accel.DeviceEnv, ""}} {
		rest, found := strings.CutPrefix(s[i:], form[0])
		if !found || rest != "" && (rest[0] == '_' || !notInID(rune(rest[0])) && rest[0] != '.' && rest[0] != '-') {
			continue // another variable, whose name is longer
		}
		if form[1] != "" {
			n := strings.Index(rest[:min(maxDeviceLength, len(rest))], form[1])
			if n < 0 {
				return 0, false
			}
			rest = rest[n+1:]
		}
		rest = strings.TrimPrefix(rest, quote)
		end = len(s) - len(rest)
		return end, endsWord(s, end)
	}
	return 0, false
}

// glimpse is the flag s[flag:i] and what follows it, up to the end of a word or of
// a quoted text, to be shown to people.
func glimpse(s string, flag, i int) string {
	const limit = 64
	end := i
	if end < len(s) && s[end] == '=' {
		end++
	} else {
		end = skipBlanks(s, end)
	}
	if quote := quoteAt(s, end); quote != "" {
		from := end + len(quote)
		if n := strings.Index(s[from:min(from+limit, len(s))], quote); n >= 0 {
			return s[flag : from+n+len(quote)]
		}
		end = from
	}
	for stop := min(end+limit, len(s)); end < stop && !isBlank(s[end]) && strings.IndexByte(";|&`", s[end]) < 0; end++ {
	}
	return strings.TrimRight(s[flag:end], " \t\\")
}
