package poll

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

var errNotYet = errors.New("not yet")

// TestUntil: the error is that of the last try which the end of the context did not
// cut short.
func TestUntil(t *testing.T) {
	blocks := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := map[string]struct {
		tries []func(context.Context) error // the last one goes on
		want  error                         // nil for success
		not   error
	}{
		"at once":             {tries: []func(context.Context) error{fails(nil)}},
		"at the second try":   {tries: []func(context.Context) error{fails(errNotYet), fails(nil)}},
		"never":               {tries: []func(context.Context) error{fails(errNotYet)}, want: errNotYet},
		"the last one is cut": {tries: []func(context.Context) error{fails(errNotYet), blocks}, want: errNotYet, not: context.DeadlineExceeded},
		"the only one is cut": {tries: []func(context.Context) error{blocks}, want: context.DeadlineExceeded},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := -1
			err := Within(t.Context(), time.Second, func(ctx context.Context) error {
				n = min(n+1, len(c.tries)-1)
				return c.tries[n](ctx)
			})
			if !errors.Is(err, c.want) || c.not != nil && errors.Is(err, c.not) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), "after 1s") {
				t.Errorf("error %v does not say how long it took", err)
			}
		})
	}
}

// TestCanceled: who waits learns why.
func TestCanceled(t *testing.T) {
	why := errors.New("it has ended")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := Until(ctx, fails(errNotYet)); !errors.Is(err, why) || !errors.Is(err, errNotYet) {
		t.Errorf("error %v, want both", err)
	}
	if err := SleepUntil(ctx, time.Now().Add(time.Hour)); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
	if err := SleepUntil(t.Context(), time.Now()); err != nil {
		t.Error(err)
	}
}

func fails(err error) func(context.Context) error { return func(context.Context) error { return err } }
