package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"heteroaccel.io/cli/pages"
)

func explainCommand(c *cluster) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain POD",
		Short: "Explain why a pod has its kind of accelerator, and what it waits for",
		Long: `Explain shows why a pod got its kind of accelerator, what it waits for and who holds that,
which nodes are out of the question, what kube-scheduler said of it, and whether it asked the
extender about the pod. The pod is looked for in the namespace of the kubeconfig, or of
--namespace.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completePods,
	}
	return viewCommand(c, cmd, func(_ *cobra.Command, args []string) (look, error) {
		namespace, _, err := c.ToRawKubeConfigLoader().Namespace()
		if err != nil {
			return nil, fmt.Errorf("find the namespace: %w", err)
		}
		path := pages.PodPath(namespace, strings.TrimPrefix(strings.TrimPrefix(args[0], "pods/"), "pod/"))
		return func(ctx context.Context, v *view, e *pages.Extenders) (picture, error) {
			client, raw, notes, err := whoWasAsked(ctx, e, path)
			if err != nil {
				return picture{}, err
			}
			p := picture{raw: raw}
			if v.form == table || v.form == wide {
				if p, err = textOf(ctx, client, path); err != nil {
					return picture{}, err
				}
			}
			p.notes = notes // those of the text are among them
			return p, nil
		}, nil
	})
}

// whoWasAsked is the extender that kube-scheduler asked about a pod, with its page; the
// first one if none was. The other parts of the page are the same on each.
func whoWasAsked(ctx context.Context, e *pages.Extenders, path string) (asked *pages.Client, raw []byte, notes []string, err error) {
	var said struct {
		Asked string `json:"asked"`
		pages.Omissions
	}
	for i := range e.Len() {
		client, err := e.Client(ctx, i)
		var page []byte
		if err == nil {
			page, err = client.JSON(ctx, path)
		}
		switch {
		case err != nil && i == 0:
			return nil, nil, nil, err
		case err != nil:
			notes = append(notes, fmt.Sprintf("another extender, which may have been asked about the pod, could not be read: %v", err))
			continue
		}
		if err := json.Unmarshal(page, &said); err != nil {
			return nil, nil, nil, fmt.Errorf("read the extender's page %s: %w", path, err)
		}
		if i == 0 {
			asked, raw = client, page
		}
		if said.Asked == "yes" {
			return client, page, append(notShown(said.Omissions), notes...), nil
		}
	}
	if n := e.Len(); n > 1 && len(notes) == 0 {
		notes = append(notes, fmt.Sprintf("none of the %d extenders remembers a question about the pod", n))
	}
	return asked, raw, append(notShown(said.Omissions), notes...), nil
}
