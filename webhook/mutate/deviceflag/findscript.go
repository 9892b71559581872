package deviceflag

import (
	"path"
	"slices"
	"strings"
)

// scriptIndex returns the index, in command followed by args, of the program
// text that a shell, or another interpreter, is given on its command line; -1
// when there is none. Words behind it are the script's parameters
// and reach no program unless the script passes them on.
//
// The shell may follow any wrapper (env X=Y, tini --, nice -n 5, exec,
// busybox, an entrypoint), options before and behind its -c or in one word with
// it (bash --login -euo pipefail -c -- "…"). A line without command may begin
// with a shell's options when the image's entrypoint is the shell; it counts
// when the script is a text of several words.
func scriptIndex(command, args []string) int {
	words := command
	if len(args) > 0 {
		words = slices.Concat(command, args)
	}
	tokens := split(words[:min(len(words), maxWords)])
	if len(command) == 0 {
		if i := shellScript(tokens); i >= 0 && strings.ContainsAny(tokens[i].text, " \t\n") {
			return tokens[i].word
		}
	}
	for i, t := range tokens {
		rest := tokens[i+1:]
		at := -1
		switch name := path.Base(t.text); {
		case shells[name]:
			at = shellScript(rest)
		case runners[name]:
			at = optionValue(rest, "c", "command")
		case interpreters[strings.TrimRight(name, "0123456789.")] != "":
			at = inlineProgram(rest, interpreters[strings.TrimRight(name, "0123456789.")])
		}
		if at >= 0 {
			return rest[at].word
		}
	}
	return -1
}

// maxWords bounds where a script is looked for, since each word may be a shell
// that has all words behind it for its own.
const maxWords = 1024

var (
	shells = map[string]bool{
		"sh": true, "bash": true, "rbash": true, "ash": true, "dash": true, "hush": true, "ksh": true, "ksh93": true,
		"mksh": true, "yash": true, "zsh": true, "fish": true, "csh": true, "tcsh": true,
	}
	// runners pass the value of -c to a shell, wherever it is among their
	// options and operands.
	runners = map[string]bool{"su": true, "runuser": true, "flock": true, "script": true, "sg": true}
	// interpreters take a program as the value of this option; python3.14 is
	// python.
	interpreters = map[string]string{"python": "c", "pypy": "c", "perl": "e", "ruby": "e", "node": "e", "lua": "e", "php": "r"}
)

// token is a word, and the index of the command line's word that it is part of.
type token struct {
	text string
	word int
}

// split returns words, and in place of a text that env -S splits the words of that
// text that blanks separate.
func split(words []string) []token {
	tokens := make([]token, 0, len(words))
	env := false // the options of env go on
	for i := 0; i < len(words); i++ {
		w := words[i]
		tokens = append(tokens, token{w, i})
		if !env {
			env = path.Base(w) == "env"
			continue
		}
		text, found := "", false
		switch {
		case strings.HasPrefix(w, "--"):
			text, found = strings.CutPrefix(w, "--split-string=")
			if w == "--split-string" && i+1 < len(words) {
				i++
				text, found = words[i], true
			}
		case strings.HasPrefix(w, "-"):
			_, text, found = strings.Cut(w, "S")
			if found && text == "" && i+1 < len(words) {
				i++
				text = words[i]
			}
		default:
			env = strings.Contains(w, "=") // X=Y, and then perhaps more options of a program
		}
		if found {
			env = false
			for part := range strings.FieldsSeq(text) {
				tokens = append(tokens, token{strings.TrimLeft(part, `"'`), i})
			}
		}
	}
	return tokens
}

// shellScript returns the index of the script among the words behind a shell,
// or -1: the first operand, if an option was -c.
func shellScript(words []token) int {
	script := false
	for i := 0; i < len(words); i++ {
		o := words[i].text
		switch {
		case o == "--" || o == "-":
			if script && i+1 < len(words) {
				return i + 1
			}
			return -1
		case o == "--rcfile" || o == "--init-file":
			i++
		case o == "--command":
			script = true
		case strings.HasPrefix(o, "--"):
		case len(o) > 1 && (o[0] == '-' || o[0] == '+') && !strings.ContainsFunc(o[1:], notLetter):
			script = script || o[0] == '-' && strings.Contains(o, "c")
			i += strings.Count(o, "o") + strings.Count(o, "O") // -o pipefail, -O extglob
		case script:
			return i
		default:
			return -1
		}
	}
	return -1
}

// optionValue returns the index of the value of an option, short or long,
// among words that may have operands between their options; -1 without one.
func optionValue(words []token, short, long string) int {
	for i, w := range words {
		switch {
		case w.text == "--":
			return -1
		case strings.HasPrefix(w.text, "--"+long+"="):
			return i
		case i+1 < len(words) && (w.text == "--"+long || cluster(w.text) && strings.HasSuffix(w.text, short)):
			return i + 1
		}
	}
	return -1
}

// inlineProgram returns the index of the program that an interpreter's option
// has for its value, or -1 once the options end.
func inlineProgram(words []token, option string) int {
	for i, w := range words {
		switch {
		case !strings.HasPrefix(w.text, "-") || w.text == "--":
			return -1
		case i+1 < len(words) && cluster(w.text) && strings.HasSuffix(w.text, option):
			return i + 1
		}
	}
	return -1
}

// cluster reports whether o is single-letter options in one word.
func cluster(o string) bool {
	return len(o) > 1 && o[0] == '-' && !strings.ContainsFunc(o[1:], notLetter)
}

func notLetter(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
