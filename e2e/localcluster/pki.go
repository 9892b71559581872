package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"heteroaccel.io/e2e/authority"
)

// lifetime of the certificates. Nothing renews them: a cluster on a laptop is thrown away.
const lifetime = 365 * 24 * time.Hour

// volumes are the directories, each a volume, that are filled here.
type volumes struct {
	pki      string // of the control plane, with the administrator's credentials
	programs string // of HeteroAccel's programs
	tools    string // gets this program, for the health checks
	// others are filled by their users, to whom they are handed over.
	others []string
	user   int // whom all of them belong to, and its group
	server string
}

func pkiCommand() *cobra.Command {
	v := volumes{}
	cmd := &cobra.Command{
		Use: "pki", Short: "Fill volumes with the certificates, keys and kubeconfigs of a cluster, unless they are there", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			issued, err := v.fill(time.Now())
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), issued)
			}
			return err
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&v.pki, "dir", "/pki", "volume of the control plane")
	fs.StringVar(&v.programs, "programs", "/programs", "volume of HeteroAccel's programs")
	fs.StringVar(&v.tools, "tools", "/tools", "volume that gets this program, for health checks")
	fs.StringSliceVar(&v.others, "own", nil, "further volumes to hand over to --user")
	fs.IntVar(&v.user, "user", 65532, "id of the user, and of the group, whom the volumes are for")
	fs.StringVar(&v.server, "server", "https://kube-apiserver:6443", "URL of the API server")
	return cmd
}

// fill fills the volumes, or keeps what is there, and says which.
func (v volumes) fill(now time.Time) (string, error) {
	if err := v.install(); err != nil {
		return "", err
	}
	ends, err := v.validUntil()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if ends, err = v.issue(); err != nil {
			return "", err
		}
	case err != nil:
		return "", err
	case now.After(ends):
		return "", fmt.Errorf("the certificates of this cluster ended on %s: begin a new one with docker compose down --volumes", ends.Format(time.DateOnly))
	}
	return fmt.Sprintf("the certificates are good until %s", ends.Format(time.DateOnly)), v.handOver()
}

// complete is the file that is written last.
const complete = "ca.crt"

// validUntil is when the certificates end that are there.
func (v volumes) validUntil() (time.Time, error) {
	data, err := os.ReadFile(filepath.Join(v.pki, complete))
	if err != nil {
		return time.Time{}, fmt.Errorf("read the CA's certificate: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return time.Time{}, errors.New("the CA's certificate is none: begin a new cluster with docker compose down --volumes")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the CA's certificate: %w", err)
	}
	return cert.NotAfter, nil
}

// issue writes everything, and last what tells that it is complete: what an interrupted
// run left is written anew.
func (v volumes) issue() (time.Time, error) {
	ca, err := authority.New(lifetime)
	if err != nil {
		return time.Time{}, err
	}
	for _, s := range servers {
		if err := ca.WriteServer(filepath.Join(v.of(s.volume), s.file), s.hosts...); err != nil {
			return time.Time{}, err
		}
	}
	for _, u := range users {
		base := filepath.Join(v.of(u.volume), u.file)
		if err := ca.Kubeconfig(base+".kubeconfig", v.server, u.name, u.groups); err != nil {
			return time.Time{}, err
		}
	}
	if err := ca.WriteClient(filepath.Join(v.pki, "kube-scheduler-client"), schedulerName); err != nil {
		return time.Time{}, err
	}
	if err := authority.WriteTokenKeys(v.pki); err != nil {
		return time.Time{}, err
	}
	if err := ca.WriteCertificate(filepath.Join(v.programs, complete)); err != nil {
		return time.Time{}, err
	}
	return ca.Certificate().NotAfter, ca.WriteCertificate(filepath.Join(v.pki, complete))
}

// install puts this program into the volume of the tools, where others may run it
// meanwhile.
func (v volumes) install() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return fmt.Errorf("read this program: %w", err)
	}
	to := filepath.Join(v.tools, "localcluster")
	if err := os.WriteFile(to+".new", program, 0o755); err != nil {
		return fmt.Errorf("install this program: %w", err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		return fmt.Errorf("install this program: %w", err)
	}
	return nil
}

// handOver gives the volumes to their user: the engine makes them root's.
func (v volumes) handOver() error {
	for _, volume := range v.others {
		if err := os.Lchown(volume, v.user, v.user); err != nil {
			return fmt.Errorf("hand over %s: %w", volume, err)
		}
	}
	for _, volume := range []string{v.pki, v.programs} {
		err := filepath.WalkDir(volume, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, v.user, v.user)
		})
		if err != nil {
			return fmt.Errorf("hand over %s: %w", volume, err)
		}
	}
	return nil
}
