package watch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"
)

// Frame is what is shown at one time.
type Frame struct {
	Body []byte
	// Note is a line beside it, "" for none.
	Note string
}

// Loop shows frames.
type Loop struct {
	Look func(context.Context) (Frame, error)
	Out  io.Writer
	// Notes gets notes and errors that are not on the terminal.
	Notes io.Writer
	// Every is the time between two frames.
	Every time.Duration
	// Between stands between two frames that are below one another.
	Between string
	// Size is how many columns and lines the terminal has; nil to show frames below
	// one another.
	Size func() (columns, lines int)
}

// Run shows frames until the context ends, which is no error. It returns the error of the
// first look: nothing is there then that could come back.
func (l Loop) Run(ctx context.Context) error {
	var shown struct {
		settled []byte
		note    string
		any     bool
		failing bool
	}
	tick := time.NewTicker(l.Every)
	defer tick.Stop()
	var last Frame
	for {
		frame, err := l.Look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !shown.any {
			return err
		}
		trouble := ""
		if err != nil {
			frame, trouble = last, fmt.Sprintf("%v; trying again every %s", err, l.Every)
		}
		last = frame
		if l.Size != nil {
			columns, lines := l.Size()
			if !shown.any { // what is on the screen moves up, and can be read still
				if err := l.write(bytes.Repeat([]byte("\n"), lines)); err != nil {
					return err
				}
			}
			if err := l.write(screen(frame, trouble, columns, lines)); err != nil {
				return err
			}
			shown.any = true
		} else {
			if trouble != "" && !shown.failing {
				l.say(trouble)
			}
			if trouble == "" && frame.Note != shown.note {
				if frame.Note != "" {
					l.say(frame.Note)
				}
				shown.note = frame.Note
			}
			if now := settle(frame.Body); trouble == "" && (!shown.any || shown.failing || !bytes.Equal(now, shown.settled)) {
				body := frame.Body
				if shown.any {
					body = append([]byte(l.Between), body...)
				}
				if err := l.write(body); err != nil {
					return err
				}
				shown.settled, shown.any = now, true
			}
		}
		shown.failing = trouble != ""
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (l Loop) say(sentence string) {
	_, _ = fmt.Fprintln(l.Notes, sentence) // where errors go there is nobody to tell of one
}

func (l Loop) write(text []byte) error {
	if _, err := l.Out.Write(text); err != nil {
		return fmt.Errorf("write what is watched: %w", err)
	}
	return nil
}
