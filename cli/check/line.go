package check

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Result is how a check ended.
type Result string

const (
	OK    Result = "OK"
	Wrong Result = "WRONG"
	// NotChecked is what the caller may not see, or what cannot be proven now.
	NotChecked Result = "NOT CHECKED"
)

// Line is what one check found.
type Line struct {
	// Check is one word for what was checked.
	Check  string `json:"check"`
	Result Result `json:"result"`
	// Message is a sentence.
	Message string `json:"message"`
	// Fix is the command that fixes what is wrong, or shows more of it.
	Fix string `json:"fix,omitempty"`
}

func ok(check, format string, args ...any) Line {
	return Line{Check: check, Result: OK, Message: fmt.Sprintf(format, args...)}
}

func wrong(check, fix, format string, args ...any) Line {
	return Line{Check: check, Result: Wrong, Message: fmt.Sprintf(format, args...), Fix: fix}
}

func notChecked(check, format string, args ...any) Line {
	return Line{Check: check, Result: NotChecked, Message: fmt.Sprintf(format, args...)}
}

// Fact is something that was read, or why it could not be.
type Fact[T any] struct {
	Value T
	Err   error
}

// Read is the fact that a call returned.
func Read[T any](value T, err error) Fact[T] { return Fact[T]{value, err} }

// ErrNotAsked is the error of a fact that nobody asked for, because another says that
// there is no point.
var ErrNotAsked = errors.New("not asked")

// unread is the line for something that could not be read. may says what the caller
// needs the right to do, missing what its absence means.
func unread(check string, err error, may, missing, fix string) Line {
	switch {
	case errors.Is(err, ErrNotAsked):
		return notChecked(check, "%v", err)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return notChecked(check, "you may not %s", may)
	case apierrors.IsNotFound(err):
		return wrong(check, fix, "%s", missing)
	default:
		return wrong(check, "", "could not %s: %v", may, err)
	}
}
