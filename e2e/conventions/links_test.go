package conventions

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	inline  = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
)

// TestLinks: what a page links to within the tree is there, headings included.
func TestLinks(t *testing.T) {
	checked := 0
	for _, page := range files(t, ".md") {
		for n, line := range prose(read(t, page)) {
			for _, found := range link.FindAllStringSubmatch(line, -1) {
				target, anchor, _ := strings.Cut(found[1], "#")
				if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
					continue
				}
				checked++
				to := page
				if target != "" {
					to = path.Join(path.Dir(page), target)
				}
				if _, err := os.Stat(filepath.Join(root, to)); err != nil {
					t.Errorf("%s:%d: there is no %s", page, n, to)
				} else if anchor != "" && !anchors(read(t, to))[anchor] {
					t.Errorf("%s:%d: %s has no heading #%s", page, n, to, anchor)
				}
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d links were checked", checked)
	}
}

// prose yields the lines of a page outside its code blocks, by number.
func prose(page string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		fenced, n := false, 0
		for line := range strings.Lines(page) {
			n++
			line = strings.TrimRight(line, "\n")
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			} else if !fenced && !yield(n, line) {
				return
			}
		}
	}
}

// anchors are the names that GitHub gives the headings of a page.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, line := range prose(page) {
		h := heading.FindStringSubmatch(line)
		if h == nil {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, inline.ReplaceAllString(h[1], "$1"))
		unique := name
		for i := 1; found[unique]; i++ {
			unique = fmt.Sprintf("%s-%d", name, i)
		}
		found[unique] = true
	}
	return found
}

func TestAnchors(t *testing.T) {
	page := "# One `flag`: what?\n## Two\n## Two\n```\n# not\n```\n### [A link](x.md), and_more\n"
	got := anchors(page)
	for _, want := range []string{"one-flag-what", "two", "two-1", "a-link-and_more"} {
		if !got[want] {
			t.Errorf("no %s in %v", want, got)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d anchors, want 4: %v", len(got), got)
	}
}
