package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"

	"heteroaccel.io/pkg/program"
)

// cluster is how to reach it, by the usual flags, and where HeteroAccel is in it.
type cluster struct {
	*genericclioptions.ConfigFlags
	system, exporters string
}

// add declares the flags.
func (c *cluster) add(fs *pflag.FlagSet) {
	c.AddFlags(fs)
	// The default is a directory of whoever runs it.
	fs.Lookup("cache-dir").Hidden = true
	fs.StringVar(&c.system, "system-namespace", "heteroaccel-system", "namespace of the webhook and the extender")
	fs.StringVar(&c.exporters, "exporter-namespace", "heteroaccel-exporter", "namespace of the exporters")
}

// installation are the flags, of those given, that say where HeteroAccel is.
func (c *cluster) installation(fs *pflag.FlagSet) (flags []string) {
	for _, name := range []string{"system-namespace", "exporter-namespace"} {
		if fs.Changed(name) {
			flags = append(flags, "--"+name, fs.Lookup(name).Value.String())
		}
	}
	return flags
}

// rest is the configuration of a client, which is not held back: what is read is little.
func (c *cluster) rest() (*rest.Config, error) {
	config, err := c.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w; name a kubeconfig file with --kubeconfig", err)
	}
	config.QPS, config.Burst = 50, 100
	return rest.AddUserAgent(config, "heteroaccel"), nil
}

// command is the program, which runs under a name.
func command(path string) *cobra.Command {
	name := "heteroaccel"
	if strings.HasPrefix(calledAs(path), "kubectl") {
		name = "kubectl heteroaccel"
	}
	c := &cluster{ConfigFlags: genericclioptions.NewConfigFlags(true)}
	root := &cobra.Command{
		Use:   "heteroaccel",
		Short: "See what HeteroAccel does, check an installation, and configure kube-scheduler for it",
		Long: `heteroaccel shows what HeteroAccel does with pods, nodes and devices, checks an installation,
and says what kube-scheduler needs to ask its extender.`,
		Annotations: map[string]string{
			cobra.CommandDisplayNameAnnotation: name,
		},
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		// With it a command that there is not is an error, and no help.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 100"))
	root.PersistentFlags().SortFlags = false
	c.add(root.PersistentFlags())
	root.AddCommand(explainCommand(c), queueCommand(c), topCommand(c), nodesCommand(c), decisionsCommand(c), uiCommand(c),
		checkCommand(c), schedulerConfigCommand(c), versionCommand())
	c.completeGlobal(root)
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "heteroaccel %s\n", program.Version())
			return err
		},
	}
}
