package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/cli/pages"
	"heteroaccel.io/cli/watch"
)

// every is the time between two looks of --watch.
const every = 2 * time.Second

// Forms of what is printed. table is what -o is not given for.
const (
	table    = ""
	wide     = "wide"
	asJSON   = "json"
	asYAML   = "yaml"
	allForms = "json, yaml or wide"
)

// view are the flags of a command that shows what the extender knows.
type view struct {
	cluster *cluster
	where   pages.Where
	form    string
	watch   bool
}

// picture is what a command shows.
type picture struct {
	// text is for people, value or else raw what json and yaml print.
	text  string
	value any
	raw   []byte
	// notes are sentences on what is missing.
	notes []string
}

// look reads what a command shows.
type look func(ctx context.Context, v *view, extenders *pages.Extenders) (picture, error)

// viewCommand adds the flags of a view to a command, which shows what look reads.
func viewCommand(c *cluster, cmd *cobra.Command, read func(cmd *cobra.Command, args []string) (look, error)) *cobra.Command {
	v := &view{cluster: c}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains([]string{table, wide, asJSON, asYAML}, v.form) {
			return fmt.Errorf("--output %q: choose %s", v.form, allForms)
		}
		if err := withHTTPS(v.where.URL, v.where.CA); err != nil {
			return err
		}
		look, err := read(cmd, args)
		if err != nil {
			return err
		}
		if err := v.prepare(); err != nil {
			return err
		}
		return v.show(cmd, look)
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&v.form, "output", "o", table, "form of the output: "+allForms+"; default: a table")
	fs.BoolVarP(&v.watch, "watch", "w", false, "show it again whenever it changes, until Ctrl-C: in place on a terminal")
	v.addWhere(fs)
	complete(cmd, "output", asJSON, asYAML, wide)
	return cmd
}

// addWhere declares the flags that say where the pages are.
func (v *view) addWhere(fs *pflag.FlagSet) {
	fs.StringVar(&v.where.URL, "extender-url", "", "URL of the extender's pages; default: a port is forwarded to an extender")
	fs.StringVar(&v.where.CA, "extender-ca", "", "file of the CA of an --extender-url with https, which gets the token of the kubeconfig")
}

// withHTTPS is the error of a CA that nothing is verified with.
func withHTTPS(url, ca string) error {
	if ca != "" && !strings.HasPrefix(url, "https://") {
		return errors.New("--extender-ca is of no use without an --extender-url with https")
	}
	return nil
}

// show prints what look reads, once or again and again.
func (v *view) show(cmd *cobra.Command, look look) error {
	s := &session{view: v}
	defer s.end()
	frame := func(ctx context.Context) (watch.Frame, error) {
		p, err := s.read(ctx, look)
		if err != nil {
			return watch.Frame{}, err
		}
		body, err := p.in(v.form)
		note := ""
		if len(p.notes) > 0 {
			note = "not all is shown: " + strings.Join(p.notes, "; ")
		}
		return watch.Frame{Body: body, Note: note}, err
	}
	if !v.watch {
		f, err := frame(cmd.Context())
		if err != nil {
			return failure{err}
		}
		if f.Note != "" {
			cmd.PrintErrln(f.Note)
		}
		_, err = cmd.OutOrStdout().Write(f.Body)
		return err
	}
	l := watch.Loop{Look: frame, Out: cmd.OutOrStdout(), Notes: cmd.ErrOrStderr(), Every: every, Between: "\n"}
	switch v.form {
	case asJSON:
		l.Between = ""
	case asYAML:
		l.Between = "---\n"
	default:
		l.Size = terminal(l.Out)
	}
	if err := l.Run(cmd.Context()); err != nil {
		return failure{err}
	}
	return nil
}

// in is the picture in a form.
func (p picture) in(form string) ([]byte, error) {
	if form != asJSON && form != asYAML {
		return []byte(p.text), nil
	}
	text := p.raw
	if p.value != nil {
		var err error
		if text, err = json.Marshal(p.value); err != nil {
			return nil, fmt.Errorf("write it as JSON: %w", err)
		}
	}
	if form == asYAML {
		return yaml.JSONToYAML(text)
	}
	return indent(text)
}

// notShown is what a page leaves out, as notes.
func notShown(o pages.Omissions) []string {
	if o.NotShown == "" {
		return nil
	}
	return []string{o.NotShown}
}

// failure is an error that no other command line would avoid.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }
