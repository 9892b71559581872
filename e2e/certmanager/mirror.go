package certmanager

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// every is how often a Secret is read. A kubelet takes up to a minute.
const every = 250 * time.Millisecond

// Mirror keeps the files of a Secret in a directory until ctx ends, as the kubelet does in
// a volume: all change at once, by a link's replacement, and those of a Secret that was
// deleted stay. first is called when they are there for the first time. It returns why the
// files cannot be written.
func Mirror(ctx context.Context, client kubernetes.Interface, namespace, name, dir string, first func()) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	written := ""
	for {
		secret, err := client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case err == nil && secret.ResourceVersion != written:
			if err := write(dir, secret); err != nil {
				return fmt.Errorf("write the files of Secret %s: %w", name, err)
			}
			if written == "" {
				first()
			}
			written = secret.ResourceVersion
		case err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err):
			// The API server may be away for a while: a kubelet tries again too.
			fmt.Fprintf(os.Stderr, "read Secret %s: %v\n", name, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// write puts the files of a version into a folder of its own, has the link ..data name it,
// and removes that of the version before. The files' own names are links through ..data.
func write(dir string, secret *corev1.Secret) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	link := filepath.Join(dir, "..data")
	before, err := os.Readlink(link)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	version := "..v" + secret.ResourceVersion
	if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
		return err
	}
	for name, data := range secret.Data {
		if err := os.WriteFile(filepath.Join(dir, version, name), data, 0o600); err != nil {
			return err
		}
	}
	if err := renameio.Symlink(version, link); err != nil {
		return err
	}
	for name := range secret.Data {
		if err := renameio.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if before == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(dir, before))
}
