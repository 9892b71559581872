package nodes

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// needs are the programs a node is made of, and Debian's packages of them.
var needs = []struct{ program, pack string }{
	{"containerd", "containerd"},
	{"runc", "runc"},
	{"/usr/lib/cni/ptp", "containernetworking-plugins"},
	{"iptables", "iptables"},
	{"nsenter", "util-linux"},
}

// Check returns nil when nodes can be made on this computer, else one sentence
// that says what is missing.
func Check() error {
	if err := Privileged(); err != nil {
		return err
	}
	if missing := Missing(); len(missing) > 0 {
		return fmt.Errorf("real nodes need what is not installed: apt-get install --no-install-recommends %s", strings.Join(missing, " "))
	}
	return nil
}

// Privileged returns nil when this program may make nodes at all.
func Privileged() error {
	if runtime.GOOS != "linux" {
		return errors.New("real nodes need Linux: this system has no kernel namespaces")
	}
	if os.Geteuid() != 0 {
		return errors.New("real nodes need root, for network devices and containers: run this again with sudo")
	}
	return nil
}

// Missing are Debian's packages that are yet to be installed.
func Missing() []string {
	var out []string
	for _, n := range needs {
		var err error
		if filepath.IsAbs(n.program) {
			_, err = os.Stat(n.program)
		} else {
			_, err = exec.LookPath(n.program)
		}
		if err != nil {
			out = append(out, n.pack)
		}
	}
	return out
}
