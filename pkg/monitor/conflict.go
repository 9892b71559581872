package monitor

import (
	"errors"
	"fmt"

	"heteroaccel.io/pkg/text"
)

// Conflict is the error about a node of which it is not certain who speaks for it:
// two sources claim to, or a page claims another node than its own. None of what
// they say of the node counts, as if it had not been scraped.
type Conflict struct {
	// Node is the node without telemetry, Why a sentence that names the sources.
	Node, Why string
}

// Error implements error.
func (c *Conflict) Error() string {
	return fmt.Sprintf("telemetry of node %s is ignored: %s", shorten(c.Node), shorten(c.Why))
}

const (
	// maxConflicts bounds the nodes whose conflicts are reported, and maxText the
	// text about each, in bytes.
	maxConflicts = 1000
	maxText      = 512
	// maxErrors bounds the errors of a round that are logged.
	maxErrors = 5
)

func shorten(s string) string { return text.Shorten(s, maxText) }

// flatten lists the errors that errors.Join made one.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// conflictsOf returns why the telemetry of each node is ignored.
func conflictsOf(errs []error) map[string]string {
	why := map[string]string{}
	for _, err := range errs {
		var c *Conflict
		if errors.As(err, &c) && len(why) < maxConflicts {
			why[shorten(c.Node)] = shorten(c.Why)
		}
	}
	return why
}

// summary is a text about errors, of bounded length.
func summary(errs []error) error {
	if len(errs) <= maxErrors {
		return errors.Join(errs...)
	}
	return fmt.Errorf("%w\nand %d more", errors.Join(errs[:maxErrors]...), len(errs)-maxErrors)
}
