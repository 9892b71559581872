// Package pages reads the repository's Markdown pages for the tests that hold
// them to the truth.
//
// The repository's root enters; the fenced blocks and the inline code of every
// page leave, with the line they stand on. It runs nothing.
//
// A block of commands has the language console, and the line above it is a
// comment, which no reader sees, that says what holds the commands:
//
//	<!-- run -->                      a test runs them in the repository's root
//	<!-- run: control plane -->       a test runs them on a local control plane
//	<!-- tested by: TestX, TestY -->  these tests do the same another way
//	<!-- not run: REASON -->          nothing does
//
// Commands start with "$ "; a backslash at the end of a line continues one.
// Every other line is output, in which … stands for anything.
package pages

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Block is a fenced block of a page.
type Block struct {
	// Page is the page's path from the root, Line that of the opening fence, Section the
	// heading that it stands below.
	Page    string
	Line    int
	Section string
	// Language is what stands behind the opening fence, Mark what the comment
	// above it says; either may be "".
	Language, Mark string
	Text           string
}

// Span is inline code of a page.
type Span struct {
	Page string
	Line int
	Text string
}

// Command is a command of a block, with the output that the page shows.
type Command struct {
	Text   string
	Output []string
}

// Kinds of marks.
const (
	Run      = "run"
	OnPlane  = "run: control plane"
	testedBy = "tested by: "
	notRun   = "not run: "
)

// Paths lists the pages: the Markdown files of the repository at root, by their
// paths from there.
func Paths(root string) ([]string, error) {
	var paths []string
	for _, pattern := range []string{"*.md", "docs/*.md", "certs/*.md", "deploy/*.md", "deploy/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, fmt.Errorf("list the pages: %w", err)
		}
		for _, f := range found {
			path, err := filepath.Rel(root, f)
			if err != nil {
				return nil, fmt.Errorf("list the pages: %w", err)
			}
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths, nil
}

var (
	fence   = regexp.MustCompile("^ *```([a-z]*)$")
	comment = regexp.MustCompile(`^ *<!-- (.*) -->$`)
	heading = regexp.MustCompile(`^#+ (.*)$`)
	code    = regexp.MustCompile("`([^`]+)`")
)

// Read returns the blocks and the inline code of one page.
func Read(root, page string) ([]Block, []Span, error) {
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		return nil, nil, fmt.Errorf("read a page: %w", err)
	}
	var blocks []Block
	var spans []Span
	var open *Block
	mark, indent, section := "", 0, ""
	number := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		number++
		m := fence.FindStringSubmatch(line)
		switch {
		case m == nil && open != nil:
			open.Text += line[min(indent, len(line)-len(strings.TrimLeft(line, " "))):] + "\n"
		case m != nil && open == nil:
			open = &Block{Page: page, Line: number, Section: section, Language: m[1], Mark: mark}
			indent = len(line) - len(strings.TrimLeft(line, " "))
		case m != nil:
			blocks, open = append(blocks, *open), nil
		default:
			if h := heading.FindStringSubmatch(line); h != nil {
				section = h[1]
			}
			for _, c := range code.FindAllStringSubmatch(line, -1) {
				spans = append(spans, Span{page, number, c[1]})
			}
		}
		mark = ""
		if m := comment.FindStringSubmatch(line); m != nil && open == nil {
			mark = m[1]
		}
	}
	if open != nil {
		return nil, nil, fmt.Errorf("%s: the block of line %d has no end", page, open.Line)
	}
	return blocks, spans, nil
}

// Commands are a block's commands. What stands before the first is an error.
func (b Block) Commands() ([]Command, error) {
	var commands []Command
	continued := false
	for line := range strings.Lines(b.Text) {
		line = strings.TrimSuffix(line, "\n")
		typed, isCommand := strings.CutPrefix(line, "$ ")
		switch last := len(commands) - 1; {
		case isCommand:
			commands = append(commands, Command{Text: typed})
		case last < 0:
			return nil, fmt.Errorf("%s: the first line is no command: begin it with \"$ \"", b)
		case continued:
			commands[last].Text += "\n" + line
		default:
			commands[last].Output = append(commands[last].Output, line)
			continue
		}
		continued = strings.HasSuffix(line, `\`)
	}
	return commands, nil
}

// Tests are the tests that the mark names; reason says why nothing runs the
// commands. ok is false for a mark that is none of those there are.
func (b Block) Tests() (tests []string, reason string, ok bool) {
	if names, found := strings.CutPrefix(b.Mark, testedBy); found {
		return strings.Split(names, ", "), "", true
	}
	if reason, found := strings.CutPrefix(b.Mark, notRun); found {
		return nil, reason, reason != ""
	}
	return nil, "", b.Mark == Run || b.Mark == OnPlane
}

// String is where the block stands: "README.md:12".
func (b Block) String() string { return fmt.Sprintf("%s:%d", b.Page, b.Line) }

// columns matches what stands between two columns of a table: its width is that of
// the widest value, which differs from one cluster to the next.
var columns = regexp.MustCompile(`(\S)  +`)

// Shown reports whether output has the lines that the page shows, in their
// order, and names the first that it has not.
func (c Command) Shown(output string) (missing string, ok bool) {
	got := strings.Split(output, "\n")
	for _, want := range c.Output {
		if strings.TrimSpace(want) == "…" {
			continue
		}
		parts := strings.Split(strings.TrimRight(want, " "), "…")
		for i, p := range parts {
			parts[i] = columns.ReplaceAllString(regexp.QuoteMeta(p), "$1 +")
		}
		pattern := regexp.MustCompile("^" + strings.Join(parts, ".*") + " *$")
		at := slices.IndexFunc(got, pattern.MatchString)
		if at < 0 {
			return want, false
		}
		got = got[at+1:]
	}
	return "", true
}
