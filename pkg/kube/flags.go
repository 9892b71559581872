package kube

import (
	"errors"

	"github.com/spf13/pflag"
)

// Flags say how to reach the API server.
type Flags struct {
	Kubeconfig string
	// QPS and Burst limit the requests of each client, in requests a second and
	// requests.
	QPS   float32
	Burst int
}

// Add declares the flags.
func (f *Flags) Add(fs *pflag.FlagSet) {
	fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "kubeconfig file; default: the pod's service account")
	fs.Float32Var(&f.QPS, "kube-api-qps", 50, "requests a second that each client may send to the API server")
	fs.IntVar(&f.Burst, "kube-api-burst", 100, "requests that each client may send at once beyond --kube-api-qps")
}

// Check rejects values that make no sense.
func (f *Flags) Check() error {
	if f.QPS <= 0 || f.Burst <= 0 {
		return errors.New("--kube-api-qps and --kube-api-burst must be more than 0")
	}
	return nil
}
