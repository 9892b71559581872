package main

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
)

func emptyVolumes(t *testing.T) volumes {
	t.Helper()
	dir := t.TempDir()
	v := volumes{
		pki: filepath.Join(dir, "pki"), programs: filepath.Join(dir, "programs"), tools: filepath.Join(dir, "tools"),
		others: []string{filepath.Join(dir, "etcd")}, user: os.Getuid(), server: "https://kube-apiserver:6443",
	}
	for _, volume := range append(v.others, v.pki, v.programs, v.tools) {
		if err := os.Mkdir(volume, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// contents are the files of a volume.
func contents(t *testing.T, volume string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(volume, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[filepath.Base(path)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func fill(t *testing.T, v volumes) {
	t.Helper()
	said, err := v.fill(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if want := "the certificates are good until " + time.Now().Add(lifetime).Format(time.DateOnly); said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
}

// TestFill: every server's certificate is for the names by which it is called, every
// kubeconfig names its user, and the programs' volume has nobody else's.
func TestFill(t *testing.T) {
	v := emptyVolumes(t)
	fill(t, v)
	pki, programs := contents(t, v.pki), contents(t, v.programs)
	if pki[complete] == "" || pki[complete] != programs[complete] {
		t.Fatal("the volumes have not the same CA")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(pki[complete]))
	for _, s := range servers {
		files := contents(t, v.of(s.volume))
		pair, err := tls.X509KeyPair([]byte(files[s.file+".crt"]), []byte(files[s.file+".key"]))
		if err != nil {
			t.Fatalf("%s: %v", s.file, err)
		}
		for _, host := range s.hosts {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots}); err != nil {
				t.Errorf("%s: %v", s.file, err)
			}
		}
	}
	for _, u := range users {
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(v.of(u.volume), u.file+".kubeconfig"))
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(config.CertData, config.KeyData)
		if err != nil {
			t.Fatal(err)
		}
		if got := pair.Leaf.Subject; got.CommonName != u.name || len(got.Organization) != len(u.groups) || config.Host != v.server {
			t.Errorf("%s.kubeconfig is of %s at %s", u.file, got, config.Host)
		}
	}
	for name := range programs {
		if strings.Contains(name, "admin") || strings.Contains(name, "kube-") || strings.HasPrefix(name, "tokens") {
			t.Errorf("the programs see %s", name)
		}
	}
	if info, err := os.Stat(filepath.Join(v.tools, "localcluster")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the health checks' program: %v, %v", info, err)
	}
}

// TestFillAgain: what is complete is kept, and what is not is written anew.
func TestFillAgain(t *testing.T) {
	v := emptyVolumes(t)
	fill(t, v)
	before := contents(t, v.pki)
	fill(t, v)
	if diff := cmp.Diff(before, contents(t, v.pki)); diff != "" {
		t.Errorf("a second run changed (-before +after):\n%s", diff)
	}
	if err := os.Remove(filepath.Join(v.pki, complete)); err != nil { // as it is before the end
		t.Fatal(err)
	}
	fill(t, v)
	for name, data := range contents(t, v.pki) {
		if before[name] == data {
			t.Errorf("%s is of the interrupted run", name)
		}
	}
}

func TestFillRefuses(t *testing.T) {
	v := emptyVolumes(t)
	fill(t, v)
	if said, err := v.fill(time.Now().Add(lifetime + time.Hour)); err == nil || !strings.Contains(err.Error(), "docker compose down --volumes") {
		t.Errorf("after the certificates' end it says %q, %v", said, err)
	}
	if err := os.WriteFile(filepath.Join(v.pki, complete), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := v.fill(time.Now()); err == nil || !strings.Contains(err.Error(), "docker compose down --volumes") {
		t.Errorf("with a CA that is none it says %q, %v", said, err)
	}
	v.tools = filepath.Join(v.tools, "none")
	if _, err := v.fill(time.Now()); err == nil || !strings.Contains(err.Error(), "install this program") {
		t.Errorf("without the volume of the tools: %v", err)
	}
}
