package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
)

// patience is how long a shell waits for the names of a completion.
const patience = 3 * time.Second

// complete has a flag be completed with words.
func complete(cmd *cobra.Command, flag string, words ...string) {
	// The error is that there is no such flag, or a function already.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeGlobal completes the flags that all commands have.
func (c *cluster) completeGlobal(root *cobra.Command) {
	for _, flag := range []string{"namespace", "system-namespace", "exporter-namespace"} {
		_ = root.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return c.names(cmd.Context(), "namespaces", "", begun, nil), cobra.ShellCompDirectiveNoFileComp
		})
	}
	_ = root.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var contexts []string
		if config, err := c.ToRawKubeConfigLoader().RawConfig(); err == nil {
			for name := range config.Contexts {
				contexts = append(contexts, name)
			}
		}
		slices.Sort(contexts)
		return contexts, cobra.ShellCompDirectiveNoFileComp
	})
}

// completePods completes the name of a pod that HeteroAccel admitted.
func (c *cluster) completePods(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	namespace, _, err := c.ToRawKubeConfigLoader().Namespace()
	if len(args) > 0 || err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ours := func(o metav1.ObjectMeta) bool { return o.Annotations[accel.SelectedAnnotation] != "" }
	return c.names(cmd.Context(), "pods", namespace, begun, ours), cobra.ShellCompDirectiveNoFileComp
}

// completeNodes completes the name of a node.
func (c *cluster) completeNodes(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.names(cmd.Context(), "nodes", "", begun, nil), cobra.ShellCompDirectiveNoFileComp
}

// names are those of objects that begin so; none where they cannot be listed in time, for
// a completion has nobody to tell.
func (c *cluster) names(ctx context.Context, resource, namespace, begun string, keep func(metav1.ObjectMeta) bool) (names []string) {
	config, err := c.rest()
	if err != nil {
		return nil
	}
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list, err := client.Resource(corev1.SchemeGroupVersion.WithResource(resource)).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	for _, o := range list.Items {
		if strings.HasPrefix(o.Name, begun) && (keep == nil || keep(o.ObjectMeta)) {
			names = append(names, o.Name)
		}
	}
	return names
}
