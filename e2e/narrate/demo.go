package narrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Demo is a program that shows something on a cluster of its own and then
// keeps the cluster up for people to look around.
type Demo struct {
	// Name is what messages call it.
	Name string
	// About is printed first.
	About string
	// Exit is the environment variable that ends the demo once all was shown.
	Exit string
	// Start starts the cluster. When it fails, nothing is left running.
	Start func(context.Context) (Stage, error)
	// Left marks errors which say that something of the cluster is left; they
	// are reported also after Ctrl-C. Nil if there are none.
	Left error
}

// Stage is a running cluster with something to show on it.
type Stage interface {
	// Show shows it, and fails with ErrShown if it is not what it claims.
	Show(context.Context) error
	// Invite leaves something running and tells people how to look at it.
	Invite(context.Context) error
	// Stop stops the cluster.
	Stop() error
}

// Main runs a demo until it ends or Ctrl-C, and exits the program with a
// status.
func Main(d Demo) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := d.run(ctx, os.Getenv(d.Exit) != "")
	switch {
	case err == nil:
	case ctx.Err() != nil && (d.Left == nil || !errors.Is(err, d.Left)):
		fmt.Println("\nstopped; nothing is left running")
	default:
		fmt.Fprintf(os.Stderr, "the %s failed: %v\n", d.Name, err)
		os.Exit(1)
	}
}

// run is the demo; everything it started has ended when it returns.
func (d Demo) run(ctx context.Context, exit bool) (err error) {
	fmt.Println(d.About)
	fmt.Println()
	began := time.Now()
	s, err := d.Start(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if exit || ctx.Err() == nil {
			fmt.Println("\nstopping the cluster")
		}
		err = errors.Join(err, s.Stop())
	}()
	fmt.Printf("up after %s\n", time.Since(began).Round(100*time.Millisecond))
	if err := s.Show(ctx); err != nil || exit {
		return err
	}
	if err := s.Invite(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
