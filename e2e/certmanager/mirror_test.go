package certmanager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"heteroaccel.io/e2e/poll"
)

// TestMirror: nothing is there before the Secret is, both files always are of one version,
// and they outlive the Secret.
func TestMirror(t *testing.T) {
	client, dir := fake.NewClientset(), filepath.Join(t.TempDir(), "certs")
	secrets := client.CoreV1().Secrets("system")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	there, ended := make(chan struct{}), make(chan error)
	running, end := context.WithCancel(ctx)
	go func() { ended <- Mirror(running, client, "system", "tls", dir, func() { close(there) }) }()
	says := func(want string) {
		t.Helper()
		if err := poll.Until(ctx, func(context.Context) error {
			cert, key, err := both(dir)
			if err == nil && (cert != want || key != want) {
				err = fmt.Errorf("the files are of %q and %q, want %q", cert, key, want)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-there:
		t.Fatal("it is there without a Secret")
	default:
	}
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "tls", ResourceVersion: "1"}, Data: map[string][]byte{"tls.crt": []byte("1"), "tls.key": []byte("1")}}
	if _, err := secrets.Create(ctx, s, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	<-there
	says("1")
	for i := 2; i < 6; i++ {
		v := fmt.Sprint(i)
		s.ResourceVersion, s.Data = v, map[string][]byte{"tls.crt": []byte(v), "tls.key": []byte(v)}
		if _, err := secrets.Update(ctx, s, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		says(v)
	}
	if err := secrets.Delete(ctx, "tls", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	end()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	says("5")
	left, err := filepath.Glob(filepath.Join(dir, "..v*"))
	if err != nil || len(left) != 1 {
		t.Errorf("versions left: %v, %v", left, err)
	}
}

// both reads the certificate and the key through the directory that the link names now.
func both(dir string) (cert, key string, err error) {
	now, err := filepath.EvalSymlinks(filepath.Join(dir, "..data"))
	if err != nil {
		return "", "", err
	}
	c, certErr := os.ReadFile(filepath.Join(now, "tls.crt"))
	k, keyErr := os.ReadFile(filepath.Join(now, "tls.key"))
	return string(c), string(k), errors.Join(certErr, keyErr)
}
