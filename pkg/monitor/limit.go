package monitor

import (
	"errors"
	"io"
)

// errTooLarge: a body is longer than its limit.
var errTooLarge = errors.New("the body is too large")

// limit reads at most n bytes; more are errTooLarge, not the end.
func limit(r io.Reader, n int64) io.Reader { return &limited{r, n} }

type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, errTooLarge
	}
	// One byte beyond the limit distinguishes the end from an excess.
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n, errTooLarge
	}
	return n, err
}
