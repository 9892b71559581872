package cluster

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Progress reports a long step: on a terminal as one line that is rewritten,
// elsewhere as a line every 15 seconds.
type Progress struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	start time.Time
	text  string // what goes on now
	drawn bool   // a line stands on the terminal that was not ended
}

// width is that of the narrowest terminal worth caring for.
const width = 80

// NewProgress reports to out; nil for nowhere.
func NewProgress(out io.Writer) *Progress {
	p := &Progress{out: out, start: time.Now()}
	if out == nil {
		p.out = io.Discard
	}
	if f, ok := out.(*os.File); ok {
		p.terminal = term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
	}
	return p
}

// Set says what goes on now.
func (p *Progress) Set(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
}

// Line writes a line that stays.
func (p *Progress) Line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	fmt.Fprintln(p.out, text)
}

// Clear removes the line that was rewritten.
func (p *Progress) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

// Show shows text, or what Set said since, regularly and with the time since
// now, until the returned function is called.
func (p *Progress) Show(text string) (stop func()) {
	p.mu.Lock()
	p.text, p.start = text, time.Now()
	p.mu.Unlock()
	interval := 15 * time.Second
	if p.terminal {
		interval = 250 * time.Millisecond
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				p.draw()
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		p.Clear()
	}
}

func (p *Progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fit(p.text, time.Since(p.start))
	if !p.terminal {
		fmt.Fprintln(p.out, text)
		return
	}
	fmt.Fprintf(p.out, "\r%-*s", width-1, text)
	p.drawn = true
}

// erase expects the lock.
func (p *Progress) erase() {
	if p.drawn {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", width-1))
		p.drawn = false
	}
}

// fit puts text and elapsed time into a line shorter than width.
func fit(text string, elapsed time.Duration) string {
	after := fmt.Sprintf(", %s", elapsed.Round(time.Second))
	if most := width - 1 - len(after); len(text) > most {
		text = text[:most-3] + "..."
	}
	return text + after
}
