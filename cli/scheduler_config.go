package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"heteroaccel.io/cli/distribution"
	"heteroaccel.io/cli/schedulerinput"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

func schedulerConfigCommand(c *cluster) *cobra.Command {
	var o schedulerinput.Options
	var name, to string
	names := strings.Join(distribution.Names(), ", ")
	cmd := &cobra.Command{
		Use:   "scheduler-config --for DISTRIBUTION",
		Short: "Print what kube-scheduler needs to ask the extender",
		Long: `Scheduler-config prints the files that kube-scheduler needs on a distribution of Kubernetes,
where each goes, and the commands to run: with the address of the extender's Service, its
CA, and the resources of your profiles. It changes nothing in the cluster.

The distributions are ` + names + `.
"second" is a kube-scheduler of your own beside the cluster's, for clusters whose provider
lets nobody configure theirs: it needs --image.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				return fmt.Errorf("--for is needed: choose one of %s", names)
			}
			config, err := c.rest()
			if err != nil {
				return err
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return fmt.Errorf("create a client: %w", err)
			}
			profiles, err := profile.NewClient(config)
			if err != nil {
				return err
			}
			list, err := profiles.List(cmd.Context(), metav1.ListOptions{})
			if apierrors.IsNotFound(err) { // no CRD yet: the well-known resources
				list, err = &v1alpha1.InferenceProfileList{}, nil
			}
			if err != nil {
				return fmt.Errorf("list InferenceProfiles, for the resources that they name: %w", err)
			}
			o.Namespace = c.system
			request, err := schedulerinput.Read(cmd.Context(), client, list.Items, o)
			if err != nil {
				return err
			}
			request.Flags = c.installation(cmd.Flags())
			plan, err := distribution.For(name, request)
			if err != nil {
				return err
			}
			if to != "" {
				if err := write(to, plan.Files); err != nil {
					return err
				}
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), plan.Print())
			return err
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&name, "for", "", "distribution of Kubernetes: "+names)
	fs.StringVar(&to, "to", "", "directory into which the files are written as well, the private key too")
	fs.StringVar(&o.Address, "address", "", "IP:PORT at which kube-scheduler reaches the extender; default: that of the Service heteroaccel-extender")
	fs.StringVar(&o.Kubeconfig, "scheduler-kubeconfig", "", "kubeconfig file of kube-scheduler, on its node; default: where the distribution has it")
	fs.StringVar(&o.Image, "image", "", "image of kube-scheduler, for --for second")
	fs.BoolVar(&o.MutualTLS, "mtls", false, "the extender takes calls over HTTPS, of kube-scheduler alone (deploy/extender-tls)")
	fs.StringVar(&o.Secret, "client-secret", "heteroaccel-extender-client", "Secret with kube-scheduler's certificate and key and the CA of the extender's certificate, for --mtls")
	fs.StringVar(&o.CAFile, "ca-file", "", "file of the CA of the extender's certificate, in place of --client-secret")
	fs.StringVar(&o.CertFile, "cert-file", "", "file of kube-scheduler's certificate, in place of --client-secret")
	fs.StringVar(&o.KeyFile, "key-file", "", "file of kube-scheduler's key, in place of --client-secret")
	return cmd
}

// write puts files into a directory, which it makes.
func write(dir string, files []distribution.File) error {
	var failed []error
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write the files: %w", err)
		}
		if err := replace(path, f); err != nil {
			failed = append(failed, fmt.Errorf("write %s: %w", path, err))
		}
	}
	return errors.Join(failed...)
}

// replace writes a file whole, or leaves what was there; nobody else can read a secret
// one meanwhile. renameio, which does the same, does not compile for Windows.
func replace(path string, f distribution.File) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(f.Data)
	err = errors.Join(err, temporary.Chmod(f.Mode), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
