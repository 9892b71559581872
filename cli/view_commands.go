package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"heteroaccel.io/cli/pages"
	"heteroaccel.io/cli/show"
)

func nodesCommand(c *cluster) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nodes [NODE]",
		Short: "Show nodes and their devices: state, holders, age of the telemetry",
		Long: `Nodes shows the devices of all nodes, or one node in full: the state of each device, the pods
that hold it, and how old what is known of it is.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeNodes,
	}
	return viewCommand(c, cmd, func(_ *cobra.Command, args []string) (look, error) {
		path := "/nodes"
		if len(args) > 0 {
			path = pages.NodePath(strings.TrimPrefix(args[0], "node/"))
		}
		return func(ctx context.Context, v *view, e *pages.Extenders) (picture, error) {
			client, err := e.Client(ctx, 0)
			if err != nil {
				return picture{}, err
			}
			if v.form == table {
				return textOf(ctx, client, path)
			}
			p := picture{}
			if p.raw, err = client.JSON(ctx, path); err != nil {
				return picture{}, err
			}
			var list struct {
				pages.Nodes
				pages.Node
			}
			if err := json.Unmarshal(p.raw, &list); err != nil {
				return picture{}, fmt.Errorf("read the extender's page %s: %w", path, err)
			}
			p.notes = notShown(list.Omissions)
			if len(args) > 0 {
				list.Nodes.Nodes = []pages.Node{list.Node}
			}
			p.text = show.Nodes(list.Nodes.Nodes)
			return p, nil
		}, nil
	})
}

func queueCommand(c *cluster) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "Show the pods that wait for an accelerator, in their order",
		Long: `Queue shows the pending pods of each kind of accelerator in the order in which they wait, of
all namespaces, or of that of --namespace. The reason is why a pod got its kind, the verdict
why kube-scheduler finds no node.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd = viewCommand(c, cmd, func(cmd *cobra.Command, _ []string) (look, error) {
		namespace := c.only(cmd, all)
		return func(ctx context.Context, v *view, e *pages.Extenders) (picture, error) {
			var list pages.Pods
			if err := get(ctx, e, "/pods", &list); err != nil {
				return picture{}, err
			}
			q := show.QueueOf(list, namespace)
			return picture{text: q.Text(v.form == wide), value: q, notes: notShown(list.Omissions)}, nil
		}, nil
	})
	allNamespaces(cmd, &all)
	return cmd
}

func topCommand(c *cluster) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top",
		Short: "An overview to be read in seconds: what is busy, idle or blocked, and who waits",
		Long: `Top sums up each kind of accelerator, and each node. What needs somebody's attention comes
first: kinds for which pods wait, and nodes on which devices are blocked, which is unhealthy
or used outside Kubernetes. Slots are devices, unless pods share them; those of the CPU are
its cores.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	return viewCommand(c, cmd, func(*cobra.Command, []string) (look, error) {
		return func(ctx context.Context, v *view, e *pages.Extenders) (picture, error) {
			var nodes pages.Nodes
			var pods pages.Pods
			if err := get(ctx, e, "/nodes", &nodes); err != nil {
				return picture{}, err
			}
			if err := get(ctx, e, "/pods", &pods); err != nil {
				return picture{}, err
			}
			t := show.TopOf(nodes, pods)
			return picture{text: t.Text(v.form == wide), value: t, notes: notShown(t.Omissions)}, nil
		}, nil
	})
}

func decisionsCommand(c *cluster) *cobra.Command {
	var all bool
	var limit int
	cmd := &cobra.Command{
		Use:   "decisions",
		Short: "Show what the webhook decided lately",
		Long: `Decisions shows what the webhook decided lately, the newest last: which pod got which kind and
why, who was denied, recreated or moved. It is of all namespaces, or of that of --namespace.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd = viewCommand(c, cmd, func(cmd *cobra.Command, _ []string) (look, error) {
		if limit < 1 {
			return nil, fmt.Errorf("--limit %d: give how many decisions to show, a number above 0", limit)
		}
		namespace := c.only(cmd, all)
		return func(ctx context.Context, v *view, e *pages.Extenders) (picture, error) {
			var list pages.Decisions
			if err := get(ctx, e, "/decisions?limit="+fmt.Sprint(remembered), &list); err != nil {
				return picture{}, err
			}
			list = show.DecisionsOf(list, namespace)
			list.Decisions = list.Decisions[max(0, len(list.Decisions)-limit):]
			return picture{text: show.Decisions(list, v.form == wide), value: list, notes: append(notShown(list.Omissions), list.Missing...)}, nil
		}, nil
	})
	cmd.Flags().IntVar(&limit, "limit", 50, "how many to show at most")
	allNamespaces(cmd, &all)
	return cmd
}

// remembered is more than the extender keeps.
const remembered = 1 << 20

// get reads a page of the first extender: those that all have alike.
func get(ctx context.Context, e *pages.Extenders, path string, into any) error {
	client, err := e.Client(ctx, 0)
	if err != nil {
		return err
	}
	return client.Get(ctx, path, into)
}

// textOf is a page as the extender writes it for people. It has its omissions.
func textOf(ctx context.Context, client *pages.Client, path string) (picture, error) {
	text, err := client.Text(ctx, path)
	body, notes := show.CutOmission(string(text))
	return picture{text: forCommandLine(body), notes: notes}, err
}

// only is the namespace that a list is of, "" for all.
func (c *cluster) only(cmd *cobra.Command, all bool) string {
	if all || !cmd.Flags().Changed("namespace") {
		return ""
	}
	return *c.Namespace
}

func allNamespaces(cmd *cobra.Command, all *bool) {
	cmd.Flags().BoolVarP(all, "all-namespaces", "A", false, "of all namespaces, also with --namespace; the default")
}
